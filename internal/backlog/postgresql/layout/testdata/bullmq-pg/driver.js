// Drives BullMQ on PostgreSQL for the test of its layout. The argument is the URL of the database.
'use strict';

const { Queue, Worker, createPostgresBackend, setDefaultBackendFactory } = require('bullmq');

const { serve } = require('../../../../redis/layout/layouttest/testdata/driver.js');

setDefaultBackendFactory(createPostgresBackend);
const connection = { connectionString: process.argv[2], migrate: true };
const queues = new Map();

function queueOf(name) {
  if (!queues.has(name)) queues.set(name, new Queue(name, { connection }));
  return queues.get(name);
}

serve({
  version: () => require('bullmq/package.json').version,
  setup: async (name) => {
    await queueOf(name).waitUntilReady();
  },
  add: async (name, n) => {
    for (let i = 0; i < n; i++) await queueOf(name).add('job', {}, { priority: i % 2 });
  },
  delay: (name, seconds) => queueOf(name).add('job', {}, { delay: 1000 * seconds }).then(() => true),
  take: async (name, n) => {
    let begun = 0;
    const worker = new Worker(name, () => new Promise(() => { begun++; }), { connection, concurrency: n });
    worker.on('error', () => {});
    while (begun < n) await new Promise((resolve) => { setTimeout(resolve, 10); });
    return begun;
  },
  pause: (name) => queueOf(name).pause(),
  limit: (name, n) => queueOf(name).setGlobalConcurrency(n),
});
