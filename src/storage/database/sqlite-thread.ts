/* The program of a thread that has a SQLite file open, and serves it to the main thread as a small database server. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { GroupCommit } from './group-commit.js';
import { SqliteFile } from './sqlite-file.js';
import {
  answerOf,
  errorAnswer,
  type JsonParts,
  joined,
  OPENING,
  type ThreadOptions,
  type ThreadRequest,
} from './sqlite-messages.js';

const options = workerData as ThreadOptions;
const port = parentPort!;

function send(answers: readonly JsonParts[]): void {
  const parts = ['[', ...joined(answers), ']'];
  if (parts.every((part) => typeof part === 'string')) {
    port.postMessage(parts.join(''));
    return;
  }
  const bytes = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  port.postMessage(bytes, [bytes.buffer]);
}

try {
  const file = new SqliteFile(options);
  send([answerOf(OPENING, [])]);
  if (options.role === 'reader') serveReads(file);
  else serveTransactions(file);
} catch (error) {
  send([errorAnswer(OPENING, error)]);
}

function serveReads(file: SqliteFile): void {
  port.on('message', (message: string) => {
    const requests: ThreadRequest[] = JSON.parse(message);
    for (const request of requests) {
      if (request.end === 'close') close(file, request);
      else send([answerTo(request, () => file.read(file.bind(request.statements)))]);
    }
  });
}

function serveTransactions(file: SqliteFile): void {
  let closing: ThreadRequest | undefined;
  const arrived: ThreadRequest[] = [];
  const add = (message: string) => {
    for (const request of JSON.parse(message) as ThreadRequest[]) {
      if (request.end === 'close') closing = request;
      else arrived.push(request);
    }
  };
  const receive = () => {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
      add(next.message);
    return arrived.splice(0);
  };
  const transactions = new GroupCommit(file, { receive, send });
  port.on('message', (message: string) => {
    add(message);
    transactions.run();
    if (closing !== undefined && transactions.isIdle) close(file, closing);
  });
}

function close(file: SqliteFile, request: ThreadRequest): void {
  const closeFile = () => {
    file.close();
    return [];
  };
  send([answerTo(request, closeFile)]);
  port.close();
}

function answerTo({ id }: ThreadRequest, work: () => readonly JsonParts[]): JsonParts {
  try {
    return answerOf(id, work());
  } catch (error) {
    return errorAnswer(id, error);
  }
}
