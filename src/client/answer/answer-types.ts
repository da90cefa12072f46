// The types of the service's answers, as the client publishes them.

export type {
  WireNewShare as NewShare,
  WireNewToken as NewToken,
  WireRevokedToken as RevokedToken,
  WireToken as Token,
} from '../../api/account/token-schemas.js';
export type { WireErrorCode as ErrorCode } from '../../api/error-codes.js';
export type { WireDatasetChange as DatasetChange } from '../../api/event-schema.js';
export type { WireRevision as Revision, WireRevisionDiff as RevisionDiff } from '../../api/history-schemas.js';
export type { WireLink as Link, WireLinkStates as LinkStates, WireLinks as Links } from '../../api/pair-schemas.js';
export type { WireRecheck as Recheck } from '../../api/recheck-schema.js';
export type {
  WireCaption as Caption,
  WireDataset as Dataset,
  WireDatasetWithFiles as DatasetWithFiles,
  WireFile as DatasetFile,
  WireFileKind as FileKind,
  WireFilePage as FilePage,
  WireManifest as Manifest,
  WireProblem as Problem,
} from '../../api/schemas.js';
export type { WireTarLink as TarLink } from '../../api/tar-schema.js';
export type { WireLinkSlot as LinkSlot, WireRole as Role, WireStatus as Status } from '../../api/values.js';
export type {
  WebhookEvent,
  WireDelivery as WebhookDelivery,
  WireWebhook as Webhook,
} from '../../api/webhook-schemas.js';
