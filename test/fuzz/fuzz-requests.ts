import fc from 'fast-check';
import { IS_ALL } from '../harness/available.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';
import { failureOf, type Run } from './check.js';
import { ApiDocument, type Operation, type ReceivedAnswer } from './document.js';
import { filledIn, Fixtures } from './fixture.js';
import { type FuzzRequest, requestsOf } from './requests.js';
import { Sender } from './send.js';

/** What came of a run. */
export interface Outcome {
  /** The failing case with its reproduction; `undefined` if there was none. */
  readonly failure: string | undefined;
  readonly sent: number;
  /** The number of answers by operation and status: `GET /healthz 200`. */
  readonly answers: ReadonlyMap<string, number>;
}

/** Sends random requests of every operation to a server of its own, and compares each answer with the document. */
export async function fuzzRequests(run: Run): Promise<Outcome> {
  return withServer(async (client) => {
    const { answers, document } = client;
    const anyRequest = fc.oneof(...document.operations.map((operation) => requestsOf(operation, document)));
    const failure = await failureOf(anyRequest, run, 'requests', async (request) => {
      const fault = await client.judge(request);
      if (fault !== undefined) throw new Error(fault);
    });
    const sent = [...answers.values()].reduce((sum, count) => sum + count, 0);
    return { failure: failure ?? client.serverFault(), sent, answers };
  });
}

/** Sends valid requests of each operation. @returns what is wrong with the answers, and the operations that never succeed */
export async function tryEachOperation(seed: number): Promise<{ faults: string[]; unsuccessful: string[] }> {
  return withServer(async (client) => {
    const { answers, document } = client;
    const faults: string[] = [];
    for (const operation of document.operations) {
      const numRuns = operation.method !== 'GET' ? 6 : IS_ALL ? 12 : 4;
      for (const request of fc.sample(requestsOf(operation, document, { isValid: true }), { seed, numRuns })) {
        const fault = await client.judge(request);
        if (fault !== undefined) faults.push(fault);
      }
    }
    const succeeded = new Set([...answers.keys()].flatMap((answer) => answer.match(/^.*(?= 2\d\d$)/) ?? []));
    const unsuccessful = document.operations.map(({ name }) => name).filter((name) => !succeeded.has(name));
    return { faults, unsuccessful };
  });
}

async function withServer<T>(use: (client: FuzzClient) => Promise<T>): Promise<T> {
  const server = await startServer({ 'webhook-allow': '127.0.0.1' });
  const sender = new Sender(server.url);
  try {
    const [document, fixtures] = [await ApiDocument.of(server.url), await Fixtures.of(server)];
    return await use(new FuzzClient(server, { sender, document, fixtures }));
  } finally {
    sender.close();
    await discardServer(server);
  }
}

class FuzzClient {
  readonly document: ApiDocument;
  readonly answers = new Map<string, number>();
  readonly #server: TestServer;
  readonly #sender: Sender;
  readonly #fixtures: Fixtures;

  constructor(server: TestServer, parts: { sender: Sender; document: ApiDocument; fixtures: Fixtures }) {
    this.document = parts.document;
    this.#server = server;
    this.#sender = parts.sender;
    this.#fixtures = parts.fixtures;
  }

  /** Sends a request. @returns what is wrong with its answer */
  async judge(template: FuzzRequest): Promise<string | undefined> {
    const request = filledIn(template, await this.#fixtures.current());
    const operation = operationOf(request, this.document.operations);
    const what = `${template.method} ${template.path.slice(0, 300)}`;
    const mayWait = operation !== undefined && (operation.name.endsWith('/events') || /[?&]wait/.test(request.path));
    let answer: ReceivedAnswer | undefined;
    try {
      answer = await this.#sender.send(request, { mayWait });
    } catch (error) {
      return `${what}: ${error instanceof Error ? error.message : error}`;
    }
    if (answer === undefined) return undefined;
    const key = `${operation?.name ?? 'no route'} ${answer.status}`;
    this.answers.set(key, (this.answers.get(key) ?? 0) + 1);
    const isSuccess = answer.status < 300;
    if (isSuccess) await this.#fixtures.afterSuccess(request, answer.body);
    const fault = this.#faultOf(request, operation, answer);
    const text = answer.body.subarray(0, 500).toString();
    return fault && `${what}: ${fault}\n  ${answer.status} ${text}`;
  }

  #faultOf(request: FuzzRequest, operation: Operation | undefined, answer: ReceivedAnswer): string | undefined {
    // 507: the account has as many tokens, or as much of another thing, as it may have.
    if (answer.status >= 500 && answer.status !== 507) return 'the server failed';
    if (operation === undefined) return faultOfNoRoute(request, answer);
    // The body of an answer to HEAD is not sent.
    if (request.method === 'HEAD')
      return operation.answers[answer.status] ? undefined : `${answer.status} is not declared`;
    const invalid = answer.status < 300 ? this.#invalidPartOf(request, operation) : undefined;
    if (invalid !== undefined) return `${invalid} is not as declared, and the request succeeded`;
    return this.document.faultOf(operation, answer) ?? faultOfMessage(answer);
  }

  /** The query parameter or body that does not fit the document. */
  #invalidPartOf({ path, body }: FuzzRequest, operation: Operation): string | undefined {
    const query = new URLSearchParams(path.split('?').slice(1).join('?'));
    for (const { in: place, name, schema } of operation.parameters) {
      const values = query.getAll(name);
      if (place !== 'query' || values.length === 0) continue;
      const [text = ''] = values;
      const isNumber = schema.type === 'integer' || schema.type === 'number';
      const value = isNumber ? numberOf(text) : text;
      if (values.length > 1 || !this.document.accepts(schema, value)) return `the parameter ${name}`;
    }
    if (operation.body?.contentType !== 'application/json') return undefined;
    const value = body === undefined || body.length === 0 ? undefined : JSON.parse(new TextDecoder().decode(body));
    if (value === undefined) return operation.body.required ? 'the missing body' : undefined;
    return this.document.accepts(operation.body.schema, value) ? undefined : 'the body';
  }

  /** An error in the log, or the end of the process. */
  serverFault(): string | undefined {
    const { exitCode, signalCode } = this.#server.process;
    if (exitCode !== null || signalCode !== null) return `the server ended: ${this.#server.output().slice(-2000)}`;
    return this.#server
      .output()
      .split('\n')
      .find((line) => line.startsWith('{"level":50') || line.startsWith('{"level":60'));
  }
}

/** A number as JSON writes it; another text stays a text. */
function numberOf(text: string): number | string {
  return /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? Number(text) : text;
}

/** The operation that a request is for; HEAD is answered as GET. */
function operationOf({ method, path }: FuzzRequest, operations: readonly Operation[]): Operation | undefined {
  const [target = ''] = path.split(/[?#]/, 1);
  const matches = operations.filter((operation) => {
    const pattern = operation.path.replaceAll(/\{\w+\}/g, '[^/]*');
    return operation.method === (method === 'HEAD' ? 'GET' : method) && new RegExp(`^${pattern}$`).test(target);
  });
  // A route without parameters comes first.
  return matches.sort((a, b) => a.path.split('{').length - b.path.split('{').length)[0];
}

function faultOfNoRoute({ method }: FuzzRequest, { status, body }: ReceivedAnswer): string | undefined {
  if (![400, 404, 413, 431].includes(status)) return `there is no such route, and the status is ${status}`;
  const isError = method === 'HEAD' || /^\{"error_code":(400000|404003|413001|431001),/.test(body.toString());
  return isError ? undefined : 'the error is not in the form of the API';
}

/** Clients show the beginning of an error's body; it must not show what the server is made of. */
function faultOfMessage({ status, body }: ReceivedAnswer): string | undefined {
  if (status < 400) return undefined;
  const { error_message: message } = JSON.parse(body.toString()) as { error_message: string };
  if (message.length > 1000) return `the message has ${message.length} characters`;
  const leak = /\bat \S+:\d+|node:internal|\bFST_|SQLITE_|Unexpected error|\bundefined\b|\[object /.exec(message)?.[0];
  return leak && `the message contains ${leak}`;
}
