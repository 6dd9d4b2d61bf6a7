// Drives pg-boss for the test of its layout. The arguments are the URL of the database, and the folder
// of the installed packages.
import { createRequire } from 'node:module';
import { existsSync, readFileSync } from 'node:fs';

const require = createRequire(import.meta.url);
const { serve } = require('../../../../redis/layout/layouttest/testdata/driver.js');
const [url, packages] = process.argv.slice(2);
// Where the library begins differs between its versions 10, 11 and 12.
const begins = ['dist/index.js', 'dist/index.mjs', 'src/index.js'].map((file) => `${packages}/pg-boss/${file}`).find(existsSync);
const library = await import(begins);
const Boss = library.PgBoss ?? library.default;

const boss = new Boss({ connectionString: url, supervise: false, schedule: false });
boss.on('error', () => {});

serve({
  version: () => JSON.parse(readFileSync(`${packages}/pg-boss/package.json`)).version,
  setup: async (queue) => {
    await boss.start();
    await boss.createQueue(queue, { notify: true });
  },
  add: async (queue, n) => {
    for (let i = 0; i < n; i++) await boss.send(queue, {});
  },
  delay: (queue, seconds) => boss.send(queue, {}, { startAfter: seconds }),
  take: async (queue, n) => (await boss.fetch(queue, { batchSize: n })).length,
});
