/*
 * Requests a URL again and again, and reports how long each answer took, in milliseconds; -1 for none. In a thread of its own,
 * so that the work of the test does not count.
 */
import { Agent, get } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

function ask() {
  const startedAt = performance.now();
  const request = get(workerData.url, { agent, timeout: 30_000 }, (response) => {
    response.resume();
    response.on('end', () => report(response.statusCode === 200 ? performance.now() - startedAt : -1));
  });
  request.on('timeout', () => request.destroy(new Error('no answer in 30 s')));
  request.on('error', () => report(-1));
}

function report(milliseconds) {
  parentPort?.postMessage(milliseconds);
  setTimeout(ask, workerData.pauseMs);
}

ask();
