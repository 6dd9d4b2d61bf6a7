// Drives Bull, the older package of BullMQ's author, for the test of their layout. The
// argument is the host:port of the server. The operations are those of bullmq/driver.js.
'use strict';

const Bull = require('bull');

const { serve } = require('../../../layouttest/testdata/driver.js');

const [host, port] = process.argv[2].split(':');
const queues = new Map();

function open(name, prefix, settings) {
  const queue = new Bull(name, { redis: { host, port: Number(port) }, prefix, settings });
  queue.on('error', () => {});
  return queue;
}

function queueOf(name, prefix) {
  const id = `${prefix}:${name}`;
  if (!queues.has(id)) queues.set(id, open(name, prefix));
  return queues.get(id);
}

// Jobs say themselves what becomes of them.
async function handle(job) {
  if (job.data.fate === 'hang') await new Promise(() => {});
  if (job.data.fate === 'fail') throw new Error('as told');
}

const operations = {
  version: () => require('bull/package.json').version,
  open: async (name, prefix) => (await queueOf(name, prefix).isReady(), true),
  add: async (name, prefix, fate, opts) => {
    const { id, timestamp } = await queueOf(name, prefix).add({ fate, secret: 'payload' }, opts || {});
    return { id: String(id), timestamp };
  },
  counts: async (name, prefix) => {
    const queue = queueOf(name, prefix);
    const counts = { prioritized: 0 };
    for (const type of ['wait', 'paused', 'delayed', 'active', 'completed', 'failed']) {
      counts[type] = await queue.getJobCountByTypes(type);
    }
    return counts;
  },
  pause: async (name, prefix) => (await queueOf(name, prefix).pause(), true),
  resume: async (name, prefix) => (await queueOf(name, prefix).resume(), true),
  // A worker that is to finish does so with every job, whatever it says.
  work: async (name, prefix, concurrency, { finish, ...settings } = {}) => {
    const worker = open(name, prefix, settings);
    worker.process(concurrency, finish ? async () => {} : handle).catch(() => {});
    await worker.isReady();
    return true;
  },
};

serve(operations);
