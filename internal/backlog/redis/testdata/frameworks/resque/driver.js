// Drives Resque for the tests: each line of the input is a JSON array, a command with its
// arguments, and is answered by {"result": ...} or {"error": ...}. "driver.js worker QUEUE"
// is a worker.
const path = require("node:path");
const readline = require("node:readline");
const { createRequire } = require("node:module");

const installed = createRequire(path.join(process.env.FRAMEWORK, "package.json"));
const { Queue, Worker, Plugins } = installed("node-resque");

const [host, port] = process.env.REDIS_ADDRESS.split(":");
const connection = { host, port: Number(port), namespace: process.env.NAMESPACE };
const jobs = {
  sleep: { perform: (ms) => new Promise((done) => setTimeout(done, ms)) },
  fail: {
    plugins: [Plugins.Retry],
    pluginOptions: { Retry: { retryLimit: 3, retryDelay: 2000 } },
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

async function run(queue, [command, ...args]) {
  switch (command) {
    case "version": return installed("node-resque/package.json").version;
    case "push": return queue.enqueue(args[0], args[1], args.slice(2));
    case "in": return queue.enqueueIn(args[1], args[0], args[2], args.slice(3));
    case "at": return queue.enqueueAt(args[1], args[0], args[2], args.slice(3), true);
    case "del": return queue.delDelayed(args[0], args[1], args.slice(2));
    case "pop": return queue.del(args[0], args[1], args.slice(2));
    case "clean": return Object.keys(await queue.cleanOldWorkers(0)).length;
    case "counts": return counts(queue, args[0]);
    default: throw new Error(`no command ${command}`);
  }
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
  const queue = new Queue({ connection }, jobs);
  await queue.connect();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const answer = await run(queue, JSON.parse(line)).then((result) => ({ result: result ?? null }), (e) => ({ error: e.stack }));
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  process.exit();
}

main();
