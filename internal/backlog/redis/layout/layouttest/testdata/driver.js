// What the drivers of frameworks for Node.js share: a line of input is a JSON array of an
// operation and its arguments, a line of output {"result": ...} or {"error": ...}.
'use strict';

const readline = require('node:readline');

// serve runs operations as told until the input ends.
exports.serve = async (operations) => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [operation, ...args] = JSON.parse(line);
    let answer;
    try {
      answer = { result: (await operations[operation](...args)) ?? null };
    } catch (error) {
      answer = { error: String(error.stack) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
};
