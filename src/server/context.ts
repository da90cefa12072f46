import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { RecheckService } from '../service/check/recheck-service.js';
import type { DatasetKey, DatasetService, DatasetSummary } from '../service/datasets.js';
import type { Downloads } from '../service/download/downloads.js';
import type { ReadLinks } from '../service/download/read-links.js';
import type { Ffmpeg } from '../service/inspection/clip/ffmpeg.js';
import type { UploadLinks } from '../service/upload/upload-links.js';
import type { Uploads } from '../service/upload/uploads.js';
import type { AccountEvent } from '../service/watch/watch-account.js';
import type { Accounts } from '../storage/catalog/accounts.js';
import type { BodyTimeouts } from './bodies.js';
import type { Metrics } from './metrics.js';

/** Fastify with schemas from Zod. */
export type App = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

/** The services behind the routes. */
export interface ServerDependencies {
  readonly datasets: DatasetService;
  readonly uploads: Uploads;
  readonly downloads: Downloads;
  readonly rechecks: RecheckService;
  readonly accounts: Accounts;
  readonly links: UploadLinks;
  readonly readLinks: ReadLinks;
  readonly now: () => number;
  readonly watchDataset: (key: DatasetKey, signal: AbortSignal) => AsyncIterable<DatasetSummary>;
  readonly watchAccount: (accountId: string, signal: AbortSignal) => AsyncGenerator<AccountEvent>;
  /** Rejects if the catalog or the blob store does not answer. */
  readonly checkReady: () => Promise<void>;
  readonly metrics: Metrics;
  /** The program that decodes clips; `undefined` if there is none. */
  readonly ffmpeg: Ffmpeg | undefined;
}

export interface ServerOptions {
  /** The service's URL for clients, without a trailing slash; `undefined` for the host that each client used. */
  readonly publicUrl: string | undefined;
  /** Addresses or networks (CIDR) whose X-Forwarded-* headers are trusted. */
  readonly trustedProxies: readonly string[];
  readonly timeouts: BodyTimeouts;
  readonly version: string;
  /** The origin of presigned links, `https://s3.example`; `undefined` if links lead to the service itself. */
  readonly uploadOrigin: string | undefined;
  readonly logger: FastifyBaseLogger;
}

export interface RouteContext extends ServerDependencies, ServerOptions {
  /** Fires when the server begins to drain. */
  readonly stopping: AbortSignal;
}
