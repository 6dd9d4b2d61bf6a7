// Drives Resque for the tests. "driver.js worker QUEUE" is a worker, "driver.js scheduler" a scheduler.
const path = require("node:path");
const { createRequire } = require("node:module");
const { serve } = require("../../../layouttest/testdata/driver.js");

const installed = createRequire(path.join(process.env.FRAMEWORK, "package.json"));
const { Queue, Scheduler, Worker, Plugins } = installed("node-resque");

const [host, port] = process.env.REDIS_ADDRESS.split(":");
const connection = { host, port: Number(port), namespace: process.env.NAMESPACE };
const jobs = {
  sleep: { perform: (ms) => new Promise((done) => setTimeout(done, ms)) },
  fail: {
    plugins: [Plugins.Retry],
    pluginOptions: { Retry: { retryLimit: 3, retryDelay: 5000 } },
    perform: async () => { throw new Error("as it should"); },
  },
};

async function counts(queue, name) {
  const now = Date.now();
  const delayed = Object.entries(await queue.allDelayed())
    .flatMap(([at, tasks]) => tasks.filter((t) => t.queue === name).map(() => Number(at)));
  const future = delayed.filter((at) => at > now);
  const working = Object.values(await queue.allWorkingOn()).filter((w) => w.queue === name);
  return {
    size: await queue.length(name),
    due: delayed.length - future.length,
    next: future.length > 0 ? Math.min(...future) : 0,
    work: working.length,
    known: (await queue.queues()).includes(name),
  };
}

function operations(queue) {
  return {
    version: () => installed("node-resque/package.json").version,
    push: (name, job, ...args) => queue.enqueue(name, job, args),
    in: (name, ms, job, ...args) => queue.enqueueIn(ms, name, job, args),
    at: (name, at, job, ...args) => queue.enqueueAt(at, name, job, args, true),
    del: (name, job, ...args) => queue.delDelayed(name, job, args),
    clean: async () => Object.keys(await queue.cleanOldWorkers(0)).length,
    counts: (name) => counts(queue, name),
  };
}

async function main() {
  const [role, ...queues] = process.argv.slice(2);
  if (role === "worker") {
    const worker = new Worker({ connection, queues, timeout: 50 }, jobs);
    worker.on("error", () => {});
    await worker.connect();
    await worker.start();
    return;
  }
  if (role === "scheduler") {
    const scheduler = new Scheduler({ connection, timeout: 50 });
    scheduler.on("error", () => {});
    await scheduler.connect();
    await scheduler.start();
    return;
  }
  const queue = new Queue({ connection }, jobs);
  await queue.connect();
  await serve(operations(queue));
}

main();
