import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { errorCodeOf, type WireErrorCode } from '../api/error-codes.js';
import { BASE_PATH, SMALL_BODY_BYTES } from '../api/limits.js';
import { hasBasePath } from '../api/routes.js';
import type { AuditLog } from '../service/audit-log.js';
import type { AccountLimits } from '../storage/catalog/accounts.js';
import { Quota } from '../storage/limits.js';
import { recordRequests } from './audit.js';
import { type AuthOptions, FailedLogins, requireToken } from './auth.js';
import { REQUEST_SECONDS, parseJsonBody, readBody, rejectEarly } from './bodies.js';
import {
  answerParseError,
  endStalledResponses,
  handleSequentially,
  hasUnreadBody,
  limitConnections,
  limitUnsentAnswers,
  malformedRequestOf,
  onceAnswered,
  registerDrain,
  registerMalformedRequests,
} from './connections.js';
import { type ErrorResponse, errorResponse, errorResponseOf, NOSNIFF } from './errors.js';
import type { Metrics } from './metrics.js';
import { type Handlers, registerRoutes, rowOf } from './register-routes.js';
import { missingPage, registerWeb } from './web.js';

declare module 'fastify' {
  interface FastifyRequest {
    failure: WireErrorCode | undefined;
  }
}

/** Routes that take many names allow more. */
const MAX_JSON_BYTES = 1024 * 1024;

/** Of 255 bytes in a filename, each takes up to three characters. */
const MAX_PARAM_LENGTH = 1024;

/** A file of an archive or batch takes some hundred bytes until the answer is sent. */
const MAX_FILES_OF_ACCOUNT = 200_000;
const MAX_FILES = 400_000;

/** In memory at once; all accounts have twice as much. */
const BODY_BYTES_OF_ACCOUNT = 32 * 1024 * 1024;

/** Fastify's own compilers take a tenth of the start to load; routes check their requests themselves. */
const NO_COMPILERS = {
  buildValidator: () => () => true,
  buildSerializer: () => () => (body: unknown) => JSON.stringify(body),
} as never;

export interface ServerOptions {
  readonly logger: FastifyBaseLogger;
  readonly metrics: Metrics;
  /** Addresses or networks (CIDR). */
  readonly trustedProxies: readonly string[];
  /** Without a byte of a response that the client takes. */
  readonly idleSeconds: number;
  readonly limits: AccountLimits;
  readonly version: string;
}

interface ServedRoutes extends Omit<AuthOptions, 'maxConnections' | 'failedLogins'> {
  readonly handlers: Handlers;
  readonly auditLog: AuditLog | undefined;
  /** Without a trailing slash; `undefined`: the host that each client used. */
  readonly publicUrl: string | undefined;
  /** Such as `https://s3.example`; `undefined` if links lead to the service itself. */
  readonly uploadOrigin: string | undefined;
}

export type HttpServer = ReturnType<typeof createServer>;

/** Has no routes and does not listen yet. Call `drain` before closing it. */
export function createServer(options: ServerOptions) {
  const { limits, metrics, version } = options;
  const app = makeApp(options);
  app.setErrorHandler(handleError);
  let answerMissing = sendMissing;
  app.setNotFoundHandler((request, reply) => answerMissing(request, reply));
  app.decorateRequest('failure', undefined);
  app.decorateRequest('releaseBody', undefined);
  const bodyMemory = readBodies(app);
  handleSequentially(app);
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...NOSNIFF, 'trainyard-version': version });
    // Bodies for missing routes are neither read nor checked.
    const malformed = malformedRequestOf(request.raw);
    if (malformed !== undefined) sendError(request, reply, malformed);
    else if (request.is404) answerMissing(request, reply);
    else return undefined;
    return reply;
  });
  registerMalformedRequests(app);
  endStalledResponses(app);
  const { drain, stopping } = registerDrain(app);
  const connections = limitConnections(app);
  const unsentAnswers = limitUnsentAnswers(app);
  const failedLogins = new FailedLogins();
  const filesInFlight = new Quota({
    ofAccount: MAX_FILES_OF_ACCOUNT,
    ofAll: MAX_FILES,
    what: 'files of archives and batches in flight',
    retryAfterSeconds: 10,
  });
  metrics.gauge('trainyard_connections', 'Open connections.', connections.open);
  metrics.gauge('trainyard_body_memory_bytes', 'JSON bodies of requests in flight.', () => bodyMemory.held);
  metrics.gauge(
    'trainyard_unsent_answer_bytes',
    'Large answers that clients have not read yet.',
    () => unsentAnswers.quota.held,
  );
  metrics.gauge('trainyard_files_in_flight', 'Files of archives and batches in flight.', () => filesInFlight.held);
  metrics.limits.set({ setting: 'account-bytes' }, limits.bytes);
  metrics.limits.set({ setting: 'max-dataset-files' }, limits.datasetFiles);
  metrics.limits.set({ setting: 'max-connections' }, connections.max);
  countRequests(app, metrics);

  const addRoutes = async (served: ServedRoutes): Promise<void> => {
    const { handlers, auditLog, publicUrl, uploadOrigin, now } = served;
    addOpenApi(app, { version, publicUrl });
    answerMissing = missingPage(uploadOrigin, answerMissing);
    await app.register(async (scope) => registerWeb(scope, uploadOrigin));
    registerRoutes(app, handlers, ({ access }) => access === 'anyone');
    await app.register(async (scope) => {
      recordRequests(scope, auditLog, now);
      registerRoutes(scope, handlers, ({ link }) => link === 'upload');
    });
    await app.register(
      async (scope) => {
        requireToken(scope, { ...served, failedLogins, maxConnections: connections.max });
        recordRequests(scope, auditLog, now);
        registerRoutes(scope, handlers, hasBasePath);
      },
      { prefix: BASE_PATH },
    );
  };
  return { app, addRoutes, drain, stopping, failedLogins, filesInFlight, holdUnsent: unsentAnswers.hold };
}

function makeApp({ logger, trustedProxies, idleSeconds }: ServerOptions): FastifyInstance {
  return fastify({
    loggerInstance: logger,
    logController: new BrokenAnswerLog({ disableRequestLogging: true }),
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    bodyLimit: MAX_JSON_BYTES,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // Node's own answer has no body.
    http: {
      requireHostHeader: false,
      headersTimeout: REQUEST_SECONDS * 1000,
      connectionsCheckingInterval: 1000,
    },
    schemaController: { compilersFactory: NO_COMPILERS },
    // See `endStalledResponses`.
    connectionTimeout: idleSeconds * 1000,
    clientErrorHandler: answerParseError,
    frameworkErrors: (error, request, reply) => handleError(error, request, reply),
  });
}

/** Routes with other bodies read them themselves. @returns the memory that bodies take */
function readBodies(app: FastifyInstance): Quota {
  const memory = new Quota({
    ofAccount: BODY_BYTES_OF_ACCOUNT,
    ofAll: 2 * BODY_BYTES_OF_ACCOUNT,
    what: 'bytes of JSON bodies in requests at once',
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', async (request: FastifyRequest) =>
    rowOf(request)?.bodyType === undefined ? parseJsonBody(request, await readBody(request, { memory })) : undefined,
  );
  app.addHook('onRequest', async (request) => {
    // It is ignored, so a malformed one must not reject the upload.
    if (rowOf(request)?.bodyType === 'application/octet-stream') delete request.headers['content-type'];
  });
  app.addHook('preParsing', async (request) => {
    // A GET's body has no meaning, but it has limits.
    if (!['GET', 'HEAD'].includes(request.method) || !hasUnreadBody(request)) return;
    await readBody(request, { memory, bodyLimit: SMALL_BODY_BYTES });
  });
  return memory;
}

function countRequests(app: FastifyInstance, metrics: Metrics): void {
  onceAnswered(app, (request, reply) => {
    request.releaseBody?.();
    const route = request.routeOptions.url ?? 'unknown';
    const { method } = request;
    const status = reply.statusCode;
    metrics.requests.observe({ method, route, status }, reply.elapsedTime / 1000);
    if (request.failure !== undefined) metrics.failures.inc({ error: request.failure });
    request.log.debug({ method, path: pathOf(request), status, ms: Math.round(reply.elapsedTime) }, 'answered');
  });
}

/** Made when it is first requested, as by the page at `/docs`. */
function addOpenApi(app: FastifyInstance, options: { version: string; publicUrl: string | undefined }): void {
  let text: Promise<Buffer> | undefined;
  const makeText = async () => {
    const { openApiOf } = await import('./openapi.js');
    return Buffer.from(JSON.stringify(openApiOf(options)));
  };
  app.get('/openapi.json', async (_request, reply) => {
    text ??= makeText();
    return reply.type('application/json; charset=utf-8').send(await text);
  });
}

/** The client sees only that the connection closes. */
class BrokenAnswerLog extends LogController {
  override streamError(error: Error, request: FastifyRequest): void {
    // A client that has gone ends the stream too.
    if (request.socket.destroyed) return;
    request.failure = errorCodeOf(errorResponseOf(error, request).body.error_code);
    const facts = { method: request.method, path: pathOf(request), error: request.failure };
    request.log.warn({ ...facts, err: error }, 'an answer broke off');
  }
}

function sendMissing(request: FastifyRequest, reply: FastifyReply): void {
  const message = `${request.method} ${pathOf(request)} does not exist. See /docs for all routes.`;
  sendError(request, reply, errorResponse('route_not_found', message));
}

function handleError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const response = errorResponseOf(error, request);
  request.failure = errorCodeOf(response.body.error_code);
  const facts = { method: request.method, path: pathOf(request), status: response.status };
  if (response.status >= 500 && request.failure !== 'quota_exceeded')
    request.log.error({ ...facts, err: error }, response.body.error_message);
  else request.log.info(facts, response.body.error_message);
  sendError(request, reply, response);
}

function sendError(request: FastifyRequest, reply: FastifyReply, response: ErrorResponse): void {
  if (reply.raw.headersSent) {
    // Only closing the connection tells the client that a begun response failed.
    reply.raw.destroy();
  } else if (hasUnreadBody(request) && !reply.raw.destroyed) {
    rejectEarly(request, reply, response);
  } else {
    // They belong to the intended response, such as cache-control.
    for (const name of Object.keys(reply.getHeaders())) {
      reply.removeHeader(name);
      // A failed stream has already copied them to the raw response.
      reply.raw.removeHeader(name);
    }
    reply
      .code(response.status)
      .headers({ ...response.headers, ...NOSNIFF })
      .type('application/json; charset=utf-8')
      .send(response.body);
  }
}

/** The query may hold a signature. */
function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}
