// `node scripts/test-report.js counts|failures REPORT`: what the JSON report of a run of vitest says. `counts` prints `PASSED FAILED`;
// `failures` prints each failed test with the first lines of its errors.
import { readFileSync, realpathSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const LINES_PER_ERROR = 12;

/** A report that is missing or cut off counts as one failed test. */
export function countsOf(path) {
  try {
    const { numPassedTests, numTotalTests, numPendingTests } = readReport(path);
    return { passed: numPassedTests, failed: numTotalTests - numPassedTests - numPendingTests };
  } catch {
    return { passed: 0, failed: 1 };
  }
}

function failuresOf(path) {
  return readReport(path).testResults.flatMap(({ name, message, assertionResults }) => {
    const file = relative(process.cwd(), name);
    const failed = assertionResults.filter(({ status }) => status === 'failed');
    // A file that does not load has a message and no tests.
    if (failed.length === 0 && message) return [textOf(file, message)];
    return failed.map(({ fullName, failureMessages }) => textOf(`${file}: ${fullName}`, failureMessages.join('\n')));
  });
}

function textOf(title, message) {
  const lines = message.split('\n').filter((line) => !line.includes('/node_modules/'));
  return [`FAILED ${title}`, ...lines.slice(0, LINES_PER_ERROR)].join('\n    ');
}

function readReport(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [, , what, path] = process.argv;
  if (what === 'failures') for (const text of failuresOf(path)) console.log(text);
  else {
    const { passed, failed } = countsOf(path);
    console.log(passed, failed);
  }
}
