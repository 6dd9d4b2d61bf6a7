// Drives Bee-Queue for the test of its layout. The argument is the host:port of the server.
'use strict';

const Queue = require('bee-queue');

const { serve } = require('../../../layouttest/testdata/driver.js');

const [host, port] = process.argv[2].split(':');
const redis = { host, port: Number(port) };
const queues = new Map();

function queueOf(name) {
  if (!queues.has(name)) queues.set(name, new Queue(name, { redis, isWorker: false, getEvents: false }));
  return queues.get(name);
}

// Jobs say what becomes of them.
async function handle(job) {
  if (job.data.fate === 'hang') await new Promise(() => {});
  if (job.data.fate === 'fail') throw new Error('as told');
}

const operations = {
  version: () => require('bee-queue/package.json').version,
  add: async (name, fate, { delayUntil, retries, backoff } = {}) => {
    const job = queueOf(name).createJob({ fate });
    if (delayUntil) job.delayUntil(delayUntil);
    if (retries) job.retries(retries);
    if (backoff !== undefined) job.backoff('fixed', backoff);
    await job.save();
    return job.options.timestamp;
  },
  counts: (name) => queueOf(name).checkHealth(),
  // A worker that is to finish does so with every job, also with those of workers that are gone.
  work: async (name, concurrency, { finish, ...options } = {}) => {
    const queue = new Queue(name, { redis, activateDelayedJobs: true, ...options });
    queue.on('error', () => {});
    queue.process(concurrency, finish ? async () => {} : handle);
    await queue.ready();
    if (finish) queue.checkStalledJobs(options.stallInterval);
    return true;
  },
};

serve(operations);
