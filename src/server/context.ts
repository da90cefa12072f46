import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { DatasetKey, DatasetService, DatasetSummary } from '../service/datasets.js';
import type { Downloads } from '../service/download/downloads.js';
import type { ReadLinks } from '../service/download/read-links.js';
import type { UploadLinks } from '../service/upload/upload-links.js';
import type { Uploads } from '../service/upload/uploads.js';
import type { AccountEvent } from '../service/watch/watch-account.js';
import type { Accounts } from '../storage/catalog/accounts.js';
import type { BodyTimeouts } from './bodies.js';
import type { Metrics } from './metrics.js';

/** Fastify with schemas from Zod. */
export type App = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

/** What the server serves. */
export interface ServerDependencies {
  readonly datasets: DatasetService;
  readonly uploads: Uploads;
  readonly downloads: Downloads;
  readonly accounts: Accounts;
  readonly links: UploadLinks;
  readonly readLinks: ReadLinks;
  readonly now: () => number;
  /** As `watchDataset`. */
  readonly watch: (key: DatasetKey, signal: AbortSignal) => AsyncIterable<DatasetSummary>;
  /** As the function of that name. */
  readonly watchAccount: (accountId: string, signal: AbortSignal) => AsyncGenerator<AccountEvent>;
  /** Rejects where the service could not do its work right now. */
  readonly checkReady: () => Promise<void>;
  readonly metrics: Metrics;
}

export interface ServerOptions {
  /** Where clients reach the service, without a trailing slash; else what each client itself used counts. */
  readonly publicUrl: string | undefined;
  /** Addresses or networks (CIDR) whose forwarded headers are believed. */
  readonly trustedProxies: readonly string[];
  readonly timeouts: BodyTimeouts;
  readonly version: string;
  /** Where presigned links lead browsers, `https://s3.example`; `undefined` where they lead to the service itself. */
  readonly uploadOrigin: string | undefined;
  readonly logger: FastifyBaseLogger;
}

/** What routes are given. */
export interface RouteContext extends ServerDependencies, ServerOptions {
  /** Fires when the server begins to stop. */
  readonly stopping: AbortSignal;
}
