import fastify, { type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import { validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { BASE_PATH } from '../api/base-path.js';
import { errorCodeOf, type WireErrorCode } from '../api/error-codes.js';
import { MAX_BATCH_BODY_BYTES } from '../api/limits.js';
import { Quota } from '../service/limits/quota.js';
import { recordRequests } from './audit.js';
import { requireToken } from './auth.js';
import { hasUnreadBody, onceClosed } from './bodies.js';
import { handleSequentially, onceAnswered } from './connections/disconnect.js';
import { registerDrain } from './connections/drain.js';
import { answerParseError, malformedRequestOf, registerMalformedRequests } from './connections/malformed-requests.js';
import { rejectEarly } from './connections/reject-early.js';
import { endStalledResponses } from './connections/stalled-responses.js';
import type { RouteContext, ServerDependencies, ServerOptions } from './context.js';
import { registerDocs } from './docs.js';
import { type ErrorResponse, errorResponse, errorResponseOf, NOSNIFF } from './errors.js';
import { parseJsonBody, readBody, releaseBody, SMALL_BODY_BYTES } from './json-body.js';
import { limitConnections } from './limits/connections.js';
import { FailedLogins } from './limits/failed-logins.js';
import { limitUnsentAnswers } from './limits/unsent-answers.js';
import { registerAccountRoutes } from './routes/account.js';
import { registerBulkRoutes } from './routes/bulk.js';
import { registerDatasetRoutes } from './routes/datasets.js';
import { registerDownloadRoutes } from './routes/download/downloads.js';
import { registerTarRoutes } from './routes/download/tar.js';
import { registerFileRoutes } from './routes/files.js';
import { registerHistoryRoutes } from './routes/history.js';
import { registerOperationRoutes } from './routes/operations.js';
import { registerPairRoutes } from './routes/pairs.js';
import { registerRecheckRoutes } from './routes/rechecks.js';
import { registerSessionRoutes } from './routes/sessions.js';
import { registerTokenRoutes } from './routes/tokens.js';
import { registerUploadRoutes } from './routes/uploads.js';
import { registerWebhookRoutes } from './routes/webhooks.js';
import { registerWeb } from './web.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The error that the request was answered with. */
    failure: WireErrorCode | undefined;
  }
}

/** Routes that take many names allow more. */
const MAX_JSON_BYTES = 1024 * 1024;

/** A filename has up to 255 bytes, each of which takes up to three characters in a URL. */
const MAX_PARAM_LENGTH = 1024;

/** Of one account, and of all. A file of an archive or a batch takes some hundred bytes until the answer is sent. */
const MAX_FILES_OF_ACCOUNT = 200_000;
const MAX_FILES = 400_000;
/** In place of Fastify's own compilers, which take a tenth of the time of a start to load. Those of the app are set later. */
const NO_COMPILERS = { buildValidator: () => () => true, buildSerializer: () => () => true } as never;

/** Makes the HTTP server, which does not listen yet. Call `drain` before closing it. */
export async function createServer(dependencies: ServerDependencies, options: ServerOptions) {
  const { metrics } = dependencies;
  const { timeouts, limits } = options;
  const bodyMemory = new Quota({
    ofAccount: Math.max(limits.bodyMemoryBytes / 2, MAX_BATCH_BODY_BYTES),
    ofAll: limits.bodyMemoryBytes,
    what: 'bytes of JSON bodies in requests at once (--body-memory-bytes)',
  });
  const bodyLimits = { ...timeouts, memory: bodyMemory };
  const app = fastify({
    loggerInstance: options.logger,
    logController: new BrokenAnswerLog({ disableRequestLogging: true }),
    trustProxy: options.trustedProxies.length > 0 ? [...options.trustedProxies] : false,
    bodyLimit: MAX_JSON_BYTES,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // Node's own answer has no body; `malformedRequestOf` rejects a request without a Host header.
    http: {
      requireHostHeader: false,
      headersTimeout: timeouts.requestSeconds * 1000,
      connectionsCheckingInterval: 1000,
    },
    schemaController: { compilersFactory: NO_COMPILERS },
    // See `endStalledResponses`.
    connectionTimeout: timeouts.idleSeconds * 1000,
    clientErrorHandler: answerParseError,
    frameworkErrors: (error, request, reply) => handleError(error, request, reply),
  }).withTypeProvider<ZodTypeProvider>();

  app.setValidatorCompiler(validatorCompiler);
  // Response schemas are for the OpenAPI document only; validating every response would cost more than making it.
  app.setSerializerCompiler(() => (body) => JSON.stringify(body));
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', async (request: FastifyRequest) =>
    parseJsonBody(request, await readBody(request, bodyLimits)),
  );
  app.addHook('preParsing', async (request) => {
    // The body of a GET has no meaning, but it has limits.
    if (!['GET', 'HEAD'].includes(request.method) || !hasUnreadBody(request)) return;
    await readBody(request, { ...bodyLimits, bodyLimit: SMALL_BODY_BYTES });
  });
  app.setErrorHandler(handleError);
  app.setNotFoundHandler((request, reply) => sendError(request, reply, routeNotFound(request)));
  app.decorateRequest('failure', undefined);
  handleSequentially(app);
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...NOSNIFF, 'trainyard-version': options.version });
    // A body for a route that does not exist is neither read nor checked.
    const rejection = malformedRequestOf(request.raw) ?? (request.is404 ? routeNotFound(request) : undefined);
    if (rejection === undefined) return undefined;
    sendError(request, reply, rejection);
    return reply;
  });
  registerMalformedRequests(app);
  endStalledResponses(app);
  const { drain, stopping } = registerDrain(app);
  const connections = limitConnections(app, limits.maxConnections);
  const unsentAnswers = limitUnsentAnswers(app);
  metrics.gauge('trainyard_connections', 'Open connections.', () => connections.open());
  metrics.gauge(
    'trainyard_body_memory_bytes',
    'JSON bodies of requests that are not answered yet.',
    () => bodyMemory.held,
  );
  metrics.gauge(
    'trainyard_unsent_answer_bytes',
    'Large answers that clients have not read yet.',
    () => unsentAnswers.quota.held,
  );
  metrics.limits({ ...limits, maxConnections: connections.max });
  const failedLogins = new FailedLogins(limits.failedLoginsPerSecond);
  const filesQuota = new Quota({
    ofAccount: MAX_FILES_OF_ACCOUNT,
    ofAll: MAX_FILES,
    what: 'files of archives and batches in flight',
    retryAfterSeconds: 10,
  });
  const filesInFlight: RouteContext['filesInFlight'] = {
    hold: (accountId, files) => filesQuota.hold(accountId, files),
    admit: (accountId, files, response) => onceClosed(response, filesQuota.hold(accountId, files)),
  };
  metrics.gauge('trainyard_files_in_flight', 'Files of archives and batches in flight.', () => filesQuota.held);
  const limiting = { maxConnections: connections.max, failedLogins, filesInFlight, unsentAnswers };
  const context: RouteContext = { ...dependencies, ...options, ...limiting, stopping };
  onceAnswered(app, (request, reply) => {
    releaseBody(request);
    const route = request.routeOptions.url ?? 'unknown';
    const { method } = request;
    const status = reply.statusCode;
    metrics.answered({ method, route, status, seconds: reply.elapsedTime / 1000 });
    if (request.failure !== undefined) metrics.failed(request.failure);
    request.log.debug({ method, path: pathOf(request), status, ms: Math.round(reply.elapsedTime) }, 'answered');
  });

  registerDocs(app, options);
  await app.register(async (scope) => registerWeb(scope, options));
  await app.register(async (scope) => registerOperationRoutes(scope.withTypeProvider<ZodTypeProvider>(), context));
  await app.register(async (scope) => {
    recordRequests(scope, context.auditLog, context.now);
    registerUploadRoutes(scope.withTypeProvider<ZodTypeProvider>(), context);
  });
  await app.register(
    async (scope) => {
      requireToken(scope, context);
      recordRequests(scope, context.auditLog, context.now);
      const api = scope.withTypeProvider<ZodTypeProvider>();
      registerAccountRoutes(api, context);
      registerWebhookRoutes(api, context);
      registerSessionRoutes(api, context);
      registerTokenRoutes(api, context);
      registerDatasetRoutes(api, context);
      registerPairRoutes(api, context);
      registerFileRoutes(api, context);
      registerBulkRoutes(api, context);
      registerDownloadRoutes(api, context);
      registerTarRoutes(api, context);
      registerRecheckRoutes(api, context);
      registerHistoryRoutes(api, context);
    },
    { prefix: BASE_PATH },
  );
  return Object.assign(app, { drain });
}

/** Logs why an answer broke off after its first bytes: its client sees only that the connection closes. */
class BrokenAnswerLog extends LogController {
  override streamError(error: Error, request: FastifyRequest): void {
    // The client has gone, which ends the stream too.
    if (request.socket.destroyed) return;
    request.failure = errorCodeOf(errorResponseOf(error, request).body.error_code);
    const facts = { method: request.method, path: pathOf(request), error: request.failure };
    request.log.warn({ ...facts, err: error }, 'an answer broke off');
  }
}

function routeNotFound(request: FastifyRequest): ErrorResponse {
  const message = `${request.method} ${pathOf(request)} does not exist. See /docs for all routes.`;
  return errorResponse('route_not_found', message);
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
    // The response has begun, so only closing the connection tells the client that it failed.
    reply.raw.destroy();
  } else if (hasUnreadBody(request) && !reply.raw.destroyed) {
    rejectEarly(request, reply, response);
  } else {
    // Headers of the intended response, such as cache-control, don't apply to the error.
    for (const name of Object.keys(reply.getHeaders())) {
      reply.removeHeader(name);
      // A stream that failed before its first byte has already copied them to the raw response.
      reply.raw.removeHeader(name);
    }
    reply
      .code(response.status)
      .headers({ ...response.headers, ...NOSNIFF })
      .type('application/json; charset=utf-8')
      .send(response.body);
  }
}

/** The path without the query, which may hold a signature. */
function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}
