/* The program of a thread that has a SQLite file open, and serves it to the main thread as a small database server. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { errorAnswer, GroupCommit } from './group-commit.js';
import { SqliteFile } from './sqlite-file.js';
import {
  OPENING,
  type StatementResult,
  type ThreadAnswer,
  type ThreadOptions,
  type ThreadRequest,
} from './sqlite-messages.js';

const options = workerData as ThreadOptions;
const port = parentPort!;

/** Long rows are moved, not copied. */
function send(answers: readonly ThreadAnswer[]): void {
  const results = answers.flatMap((answer) => ('results' in answer ? answer.results : []));
  port.postMessage(
    answers,
    results.flatMap((result) => (result === undefined || typeof result.rows === 'string' ? [] : [result.rows.buffer])),
  );
}

try {
  const file = new SqliteFile(options);
  send([{ id: OPENING, results: [] }]);
  if (options.role === 'reader') serveReads(file);
  else serveTransactions(file);
} catch (error) {
  send([errorAnswer(OPENING, error)]);
}

function serveReads(file: SqliteFile): void {
  port.on('message', (requests: readonly ThreadRequest[]) => {
    for (const request of requests) {
      if (request.end === 'close') close(file, request);
      else send([answerTo(request, () => file.read(request.statements))]);
    }
  });
}

function serveTransactions(file: SqliteFile): void {
  let closing: ThreadRequest | undefined;
  const arrived: ThreadRequest[] = [];
  const add = (requests: readonly ThreadRequest[]) => {
    for (const request of requests) {
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
  port.on('message', (requests: readonly ThreadRequest[]) => {
    add(requests);
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

function answerTo({ id }: ThreadRequest, work: () => readonly StatementResult[]): ThreadAnswer {
  try {
    return { id, results: work() };
  } catch (error) {
    return errorAnswer(id, error);
  }
}
