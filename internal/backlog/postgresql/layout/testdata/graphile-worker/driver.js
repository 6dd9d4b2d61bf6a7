// Drives Graphile Worker for the test of its layout. The arguments are the URL of the database, and
// the folder of the installed packages.
'use strict';

const { readFileSync } = require('node:fs');

const { Logger, makeWorkerUtils, run } = require('graphile-worker');

const { serve } = require('../../../../redis/layout/layouttest/testdata/driver.js');

const connectionString = process.argv[2];
const logger = new Logger(() => () => {});
let utils;

serve({
  version: () => JSON.parse(readFileSync(`${process.argv[3]}/graphile-worker/package.json`)).version,
  setup: async () => {
    utils = await makeWorkerUtils({ connectionString, logger });
    await utils.migrate();
  },
  add: async (task, n) => {
    for (let i = 0; i < n; i++) await utils.addJob(task, {});
  },
  delay: (task, seconds) => utils.addJob(task, {}, { runAt: new Date(Date.now() + 1000 * seconds) }).then(() => true),
  take: async (task, n) => {
    let begun = 0;
    const all = new Promise((resolve) => {
      run({ connectionString, logger, concurrency: n, noHandleSignals: true, taskList: { [task]: () => new Promise(() => { if (++begun === n) resolve(); }) } });
    });
    await all;
    return begun;
  },
});
