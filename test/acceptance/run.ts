import { fileURLToPath } from 'node:url';

/*
 * Tests the public contract of a running service from outside: `npm run acceptance -- URL TOKEN [OTHER_TOKEN]`.
 * Nothing under this folder imports the service's own code, so that it also tests another implementation.
 */

const [url, token, otherToken, ...rest] = process.argv.slice(2);
if (url === undefined || token === undefined || rest.length > 0 || !/^https?:$/.test(protocolOf(url))) {
  console.error(`Usage: npm run acceptance -- URL TOKEN [OTHER_TOKEN]

  URL          the service, such as http://127.0.0.1:8787, with or without the API's base path
  TOKEN        a token of an account; the tests create datasets in it and delete them again
  OTHER_TOKEN  a token of a second account, to test that neither account sees the other's datasets`);
  process.exit(64);
}

process.env.ACCEPTANCE_URL = url;
process.env.ACCEPTANCE_TOKEN = token;
process.env.ACCEPTANCE_OTHER_TOKEN = otherToken ?? '';

const { startVitest } = await import('vitest/node');
const vitest = await startVitest('test', [], {
  config: false,
  root: fileURLToPath(new URL('.', import.meta.url)),
  include: ['*.acceptance.ts'],
  watch: false,
  // Files that run concurrently would see one another's datasets in lists.
  fileParallelism: false,
  testTimeout: 300_000,
  hookTimeout: 60_000,
});
await vitest.close();
if (otherToken === undefined) {
  console.log("Left out: what one account sees of another's datasets. Give a token of a second account to test it.");
}

function protocolOf(text: string): string {
  return URL.canParse(text) ? new URL(text).protocol : '';
}
