// Drives BullMQ for the test of its layout. The argument is the host:port of the server.
'use strict';

// Only BullMQ 1 has a QueueScheduler.
const { FlowProducer, Queue, QueueScheduler, Worker } = require('bullmq');

const { serve } = require('../../../layouttest/testdata/driver.js');

const [host, port] = process.argv[2].split(':');
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const queues = new Map();
const major = parseInt(require('bullmq/package.json').version, 10);

function queueOf(name, prefix) {
  const id = `${prefix}:${name}`;
  if (!queues.has(id)) queues.set(id, new Queue(name, { connection, prefix }));
  return queues.get(id);
}

// Jobs are named after what becomes of them.
async function handle(job) {
  if (job.name === 'hang') await new Promise(() => {});
  if (job.name === 'fail') throw new Error('as told');
}

const operations = {
  version: () => require('bullmq/package.json').version,
  open: async (name, prefix) => (await queueOf(name, prefix).waitUntilReady(), true),
  add: async (name, prefix, job, opts) => {
    const { id, timestamp } = await queueOf(name, prefix).add(job, { secret: 'payload' }, opts);
    return { id, timestamp };
  },
  addFlow: async (name, prefix, child) => {
    const producer = new FlowProducer({ connection, prefix });
    await producer.add({ name: 'parent', queueName: name, children: [{ name: 'child', queueName: child }] });
    await producer.close();
    return true;
  },
  // Before BullMQ 4 prioritized jobs are among those that wait.
  counts: (name, prefix) => queueOf(name, prefix)
    .getJobCounts(...['prioritized'].slice(Number(major < 4)), 'wait', 'paused', 'delayed', 'active', 'waiting-children', 'completed', 'failed'),
  dueBefore: (name, prefix, ms) => queueOf(name, prefix).getDelayedCount(ms),
  pause: async (name, prefix) => (await queueOf(name, prefix).pause(), true),
  resume: async (name, prefix) => (await queueOf(name, prefix).resume(), true),
  setGlobalConcurrency: async (name, prefix, n) => (await queueOf(name, prefix).setGlobalConcurrency(n), true),
  obliterate: async (name, prefix) => (await queueOf(name, prefix).obliterate({ force: true }), true),
  // A worker that is to finish does so with every job, whatever its name. In BullMQ 1 it
  // is the scheduler that looks for stalled jobs, and moves those that are due.
  work: async (name, prefix, concurrency, { finish, alone, ...options } = {}) => {
    if (QueueScheduler && !alone) {
      const { stalledInterval = 30_000 } = options;
      const scheduler = new QueueScheduler(name, { connection, prefix, stalledInterval });
      scheduler.on('error', () => {});
      await scheduler.waitUntilReady();
    }
    const process = finish ? async () => {} : handle;
    const worker = new Worker(name, process, { connection, prefix, concurrency, ...options });
    worker.on('error', () => {});
    await worker.waitUntilReady();
    return true;
  },
};

serve(operations);
