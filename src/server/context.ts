import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { AuditLog } from '../service/audit/audit-log.js';
import type { BulkRemovals } from '../service/bulk/bulk-removals.js';
import type { CaptionWrites } from '../service/bulk/caption-writes.js';
import type { RecheckService } from '../service/verify/recheck-service.js';
import type { DatasetKey, DatasetService } from '../service/datasets.js';
import type { Downloads } from '../service/download/downloads.js';
import type { ReadLinks } from '../service/download/read-links.js';
import type { Thumbnails } from '../service/download/thumbnails.js';
import type { HistoryService } from '../service/history/history-service.js';
import type { Ffmpeg } from '../service/inspection/clip/ffmpeg.js';
import type { Limits } from '../service/limits/limits.js';
import type { MountArchives } from '../service/mount/mount-archive.js';
import type { PairService } from '../service/pair-service.js';
import type { UploadLinks } from '../service/upload/upload-links.js';
import type { Uploads } from '../service/upload/uploads.js';
import type { AccountEvent } from '../service/watch/watch-account.js';
import type { DatasetChange, WatchOptions } from '../service/watch/watch-dataset.js';
import type { WebhookService } from '../service/webhooks/webhook-service.js';
import type { Accounts } from '../storage/catalog/accounts/accounts.js';
import type { Sessions } from '../storage/catalog/accounts/sessions.js';
import type { BodyTimeouts } from './bodies.js';
import type { Metrics } from './metrics.js';

/** Fastify with schemas from Zod. */
export type App = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

/** The services behind the routes. */
export interface ServerDependencies {
  readonly datasets: DatasetService;
  readonly uploads: Uploads;
  readonly downloads: Downloads;
  readonly thumbnails: Thumbnails;
  readonly mountArchives: MountArchives;
  readonly history: HistoryService;
  readonly captionWrites: CaptionWrites;
  readonly bulkRemovals: BulkRemovals;
  readonly rechecks: RecheckService;
  readonly pairs: PairService;
  readonly webhooks: WebhookService;
  readonly accounts: Accounts;
  readonly sessions: Sessions;
  readonly links: UploadLinks;
  readonly readLinks: ReadLinks;
  readonly now: () => number;
  readonly watchDataset: (key: DatasetKey, options: WatchOptions) => AsyncIterable<DatasetChange>;
  readonly watchAccount: (accountId: string, signal: AbortSignal) => AsyncGenerator<AccountEvent>;
  /** Downloads that may be in flight at once. */
  readonly maxDownloads: number;
  /** Rejects if the catalog or the blob store does not answer. */
  readonly checkReady: () => Promise<void>;
  readonly metrics: Metrics;
  readonly auditLog: AuditLog | undefined;
  /** The program that decodes clips; `undefined` if there is none. */
  readonly ffmpeg: () => Promise<Ffmpeg | undefined>;
}

export interface ServerOptions {
  /** The service's URL for clients, without a trailing slash; `undefined` for the host that each client used. */
  readonly publicUrl: string | undefined;
  /** Addresses or networks (CIDR) whose X-Forwarded-* headers are trusted. */
  readonly trustedProxies: readonly string[];
  readonly timeouts: BodyTimeouts;
  readonly limits: Limits;
  readonly version: string;
  /** The origin of presigned links, `https://s3.example`; `undefined` if links lead to the service itself. */
  readonly uploadOrigin: string | undefined;
  readonly logger: FastifyBaseLogger;
  /** The name of the cookie with the session of the page. */
  readonly sessionCookie: string;
}

/** Counts what of an answer its client has not read yet, instead of what was counted before, until the response is closed. */
export type HoldUnsent = (response: ServerResponse, unsent: { accountId: string; bytes: number }) => void;

export interface RouteContext extends ServerDependencies, ServerOptions {
  /** Fires when the server begins to drain. */
  readonly stopping: AbortSignal;
  /** Delays the answer to a wrong token, and rejects codes that come too fast, as `FailedLogins` does. */
  readonly failedLogins: { delay(address: string): Promise<void>; admitCode(address: string): void };
  /** Limits the files of archives and batches: until the response closes, or the returned function is called. */
  readonly filesInFlight: {
    admit(accountId: string, files: number, response: ServerResponse): void;
    hold(accountId: string, files: number): () => void;
  };
  /** Limits the pages of answers that clients have not read yet. */
  readonly unsentAnswers: { readonly hold: HoldUnsent };
  /** The effective limit of connections. */
  readonly maxConnections: number;
}
