import { createHash } from 'node:crypto';

/** The rows of a catalog of the version before links, `0009_webhooks`, by table; each after those that it references. */

/** A moment at which some uploads are pending and others have expired. */
export const NOW = 1_760_000_000_000_000;
export const EARLIER = NOW - 86_400_000_000;
const LATER = NOW + 3_600_000_000;

export const SECRETS = { token: 'ty_token', share: 'ty_share', revoked: 'ty_revoked' } as const;

const token = (kind: string, secret: string, values: object) => ({
  ...{ id: `token-${secret}`, account_id: 'studio', digest: createHash('sha256').update(secret).digest('hex') },
  ...{ hint: secret.slice(0, 5), name: null, created_at: EARLIER, revoked_at: null, expires_at: null, is_read_only: 0 },
  ...{ dataset_ids: null, last_used_at: null, kind, parent_id: null },
  ...values,
});

const NO_FILES = {
  ...{ pending: 0, pending_until: null, received: 0, rejected: 0, images: 0, videos: 0, captions: 0 },
  ...{ trainable: 0, uncaptioned: 0, collisions: 0, bytes: 0 },
};
const NO_HISTORY = { revision: 0, revision_group: null, revision_since: null, history_due: null };

const dataset = (id: string, createdAt: number, values: object) => ({
  ...{ id, account_id: 'studio', name: id, created_at: createdAt, updated_at: EARLIER },
  ...NO_FILES,
  ...NO_HISTORY,
  ...values,
});

const NO_UPLOAD = {
  ...{
    settled_at: null,
    via: null,
    promised_bytes: null,
    write_condition: null,
    expires_at: null,
    arriving_until: null,
  },
  ...{ arriving_by: null, alive_until: null, size_bytes: null, sha256: null, content_type: null, facts: null },
  ...{ warnings: null, blob_version: null, problem: null, link_until: null, added_in: 0, author: null },
};

const FACTS = {
  image: JSON.stringify({ kind: 'image', format: 'jpeg', width: 1024, height: 768 }),
  video: JSON.stringify({ kind: 'video', format: 'mp4', width: 1024, height: 768, frames: 81 }),
  caption: JSON.stringify({ kind: 'caption', characters: 20 }),
};
type Kind = keyof typeof FACTS;

let files = 0;
const file = (datasetId: string, filename: string, kind: Kind, values: object) => ({
  ...{
    id: `file-${++files}`,
    dataset_id: datasetId,
    filename,
    stem: filename.slice(0, filename.lastIndexOf('.')),
    kind,
  },
  ...{ created_at: EARLIER, ...NO_UPLOAD },
  ...values,
});

const complete = (kind: Kind, bytes: number) => ({
  ...{ settled_at: EARLIER, size_bytes: bytes, sha256: 'ab'.repeat(32), content_type: 'any', facts: FACTS[kind] },
  warnings: '[]',
});
const stored = (datasetId: string, filename: string, kind: Kind, values: object = {}) =>
  file(datasetId, filename, kind, { state: 'stored', ...complete(kind, 100), added_in: 1, ...values });

const WARNING = { severity: 'warning', code: 'CONTENT_DIFFERS', filename: 'a.jpg', message: 'It is a PNG.' };
const problem = (code: string, filename: string) => ({ severity: 'error', code, filename, message: 'It is broken.' });
const AUTHOR = { tokenId: 'token-ty_token', tokenName: 'laptop', how: 'upload', changeId: null };

export const FILLING = {
  account: [
    { id: 'studio', name: 'the studio', created_at: EARLIER, datasets: 4, files: 11, bytes: 3000, history_bytes: 90 },
    { id: 'other', name: 'another', created_at: EARLIER, datasets: 1, files: 1, bytes: 100, history_bytes: 0 },
  ],
  token: [
    token('token', SECRETS.token, { name: 'laptop', last_used_at: NOW }),
    token('token', SECRETS.revoked, { revoked_at: EARLIER }),
    token('session', 'ty_session', { parent_id: 'token-ty_token', expires_at: LATER }),
    token('share', SECRETS.share, {
      ...{ parent_id: 'token-ty_token', expires_at: LATER, is_read_only: 1, dataset_ids: JSON.stringify(['railway']) },
    }),
  ],
  dataset: [
    dataset('railway', 1, {
      ...{ images: 1, videos: 1, captions: 2, trainable: 2, bytes: 400, revision: 2, revision_group: 'token-ty_token' },
      ...{ revision_since: EARLIER, history_due: LATER },
    }),
    dataset('arriving', 2, { pending: 3, pending_until: LATER, received: 1 }),
    dataset('broken', 3, { images: 1, captions: 1, trainable: 1, rejected: 2, bytes: 200, revision: 1 }),
    dataset('empty', 4, { updated_at: NOW }),
    dataset('theirs', 5, { account_id: 'other', captions: 1, bytes: 100, revision: 1 }),
  ],
  file: [
    stored('railway', 'a.jpg', 'image', { warnings: JSON.stringify([WARNING]), blob_version: '"etag"' }),
    stored('railway', 'a.txt', 'caption', { added_in: 2 }),
    stored('railway', 'b.mp4', 'video', { link_until: LATER }),
    stored('railway', 'b.txt', 'caption'),
    file('arriving', 'c.jpg', 'image', {
      ...{ state: 'pending', via: 'link', promised_bytes: 1000, expires_at: LATER, alive_until: LATER },
      ...{ write_condition: JSON.stringify({ ifNoneMatch: '*' }), author: JSON.stringify(AUTHOR) },
    }),
    file('arriving', 'd.jpg', 'image', {
      ...{ state: 'pending', via: 'presigned', promised_bytes: 1000, expires_at: EARLIER, alive_until: EARLIER },
    }),
    file('arriving', 'e.jpg', 'image', {
      ...{ state: 'pending', via: 'direct', expires_at: EARLIER, arriving_until: EARLIER, arriving_by: 'a process' },
      alive_until: EARLIER + 60_000_000,
    }),
    file('arriving', 'f.mp4', 'video', {
      ...{ state: 'received', ...complete('video', 300), arriving_until: LATER, arriving_by: 'a process' },
      author: JSON.stringify(AUTHOR),
    }),
    file('broken', 'g.jpg', 'image', {
      ...{ state: 'rejected', settled_at: EARLIER, problem: JSON.stringify(problem('NOT_AN_IMAGE', 'g.jpg')) },
    }),
    stored('broken', 'h.png', 'image', { problem: JSON.stringify(problem('IMAGE_CORRUPT', 'h.png')) }),
    stored('broken', 'h.txt', 'caption'),
    stored('theirs', 'z.txt', 'caption'),
  ],
  past_file: [
    {
      ...{ id: 'past-1', dataset_id: 'railway', filename: 'a.txt', kind: 'caption', created_at: EARLIER },
      ...{
        ...complete('caption', 90),
        blob_version: null,
        problem: null,
        link_until: null,
        added_in: 1,
        removed_in: 2,
      },
    },
  ],
  revision: [
    ...[1, 2].map((number) => ({
      ...{ dataset_id: 'railway', number, started_at: EARLIER, changed_at: EARLIER, token_id: 'token-ty_token' },
      ...{ token_name: 'laptop', how: 'upload', added: 4, removed: 0, changed: number - 1, files: 4, bytes: 400 },
      ...{ change_id: null, restored_from: null, digest: `d${number}`.repeat(32), ready: 1 },
      ...{ pinned_at: number === 1 ? NOW : null, pinned_by: number === 1 ? 'laptop' : null, pin_note: null },
    })),
  ],
  recheck: [
    {
      ...{ dataset_id: 'railway', started_at: EARLIER, total: 4, checked: 2, after_id: 'file-2', finished_at: null },
      ...{ lease_until: LATER, lease_token: 'a process' },
    },
  ],
  trash: [{ blob_key: 'gone/file', delete_after: LATER, link_until: null }],
  setting: [{ name: 'link-key', value: 'a secret' }],
  webhook: [
    {
      ...{ id: 'hook', account_id: 'studio', url: 'https://ci.example/hook', events: '["dataset.ready"]' },
      ...{ secret: 'whsec_c2VjcmV0', created_at: EARLIER, disabled_at: null, lease_until: null, lease_token: null },
    },
  ],
  webhook_delivery: [
    {
      ...{ id: 'msg_1', webhook_id: 'hook', dataset_id: 'railway', event: 'dataset.ready', payload: '{}' },
      ...{ created_at: EARLIER, attempts: 1, attempted_at: EARLIER, next_at: LATER, delivered_at: null, answer: 503 },
      error: 'It answered with 503.',
    },
  ],
  announcement: [
    {
      ...{ dataset_id: 'railway', account_id: 'studio', name: 'railway', status: 'READY', digest: 'd2'.repeat(32) },
      ...{ seen_at: EARLIER, announced_at: EARLIER },
    },
  ],
};
