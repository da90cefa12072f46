import { explainMissingRoute, undefinedFor } from '../remote.js';
import type { TrainyardClient } from '../../client/client.js';
import { TrainyardError, chunksOf, invalidAnswer } from '../../client/answers.js';
import type { Role } from '../../dataset/dataset.js';
import type { Manifest, ManifestFile, WantedState } from '../../service/manifest.js';
import { parseDatasetName, parseFilename, parseGroupName } from '../../dataset/names.js';
import { linksIn, roleOfSlot } from '../../dataset/pairs/roles.js';
import {
  DatasetChanged,
  type PlacedFile,
  type RangeResponse,
  type RemoteSource,
} from '../../service/mount/mount-source.js';

interface HttpDataset {
  readonly id: string;
  /** `undefined` if its manifest may have any name. */
  readonly name: string | undefined;
  /** `undefined` for a service without roles. */
  readonly role?: Role | undefined;
  readonly url: string;
}

/** A dataset read over HTTP. The service is not trusted: the manifest must have the dataset's own id and name. */
export function httpSource(client: TrainyardClient, dataset: HttpDataset): RemoteSource {
  const { id, url } = dataset;
  // Files are read from the revision of the manifest, so that a change of the dataset does not disturb the transfer.
  let revision: number | undefined;
  return {
    kind: 'remote',
    name: url,
    manifest: async (wanted, signal) => {
      const manifest = await readManifest(client, dataset, { wanted, signal });
      revision = manifest.revision || undefined;
      return manifest;
    },
    linked: ({ id: linkedId, slot }) =>
      httpSource(client, { id: linkedId, name: undefined, role: roleOfSlot(slot), url }),
    read: async (file, from, signal) => {
      const response = await client.file(id, file.filename, { from, revision, signal }).catch((error) => {
        const isRemoved = error instanceof TrainyardError && (error.status === 404 || error.status === 416);
        throw isRemoved ? new DatasetChanged(`${file.filename} has been removed`, { cause: error }) : error;
      });
      return rangeResponseOf(response, file);
    },
    readTogether: async function* (files, signal) {
      const names = files.map(({ filename }) => filename);
      // The service may have no archives, or one of the files was removed. Single downloads tell the two cases apart.
      const response = await client.bulk.archive(id, names, { revision, signal }).catch(undefinedFor(404, 405));
      if (response !== undefined) yield* filesOfArchive(chunksOf(response), files);
    },
  };
}

async function readManifest(
  client: TrainyardClient,
  { id, name: wantedName, role = 'training' }: HttpDataset,
  { wanted, signal }: { wanted: WantedState; signal: AbortSignal },
): Promise<Manifest> {
  const manifest = await client.manifest(id, { ...wanted, signal }).catch(explainMissingRoute);
  const { dataset_id: datasetId, name, revision = 0, status, digest, files, groups = [] } = manifest;
  if (datasetId !== id || (wantedName !== undefined && name !== wantedName)) {
    const renamed = datasetId === id ? ' If the dataset was renamed just now, try again.' : '';
    const expected = wantedName === undefined ? id : `${JSON.stringify(wantedName)} (${id})`;
    const fault = `it is the manifest of ${JSON.stringify(name)} (${datasetId}), not of ${expected}.${renamed}`;
    throw invalidAnswer(200, fault);
  }
  const links =
    manifest.links &&
    linksIn(manifest.links).map((link) => {
      const { slot, dataset_id: linkedId, name, revision, digest } = link;
      return { slot, id: linkedId, name, revision, digest };
    });
  for (const { filename } of files) requireName('filename', filename, parseFilename);
  for (const each of [manifest, ...(links ?? [])]) requireName('name', each.name, parseDatasetName);
  for (const group of new Set([...groups.map((each) => each.name), ...files.flatMap((file) => file.group ?? [])])) {
    requireName('group', group, parseGroupName);
  }
  return {
    ...{ id, name, role, revision, status, digest, links },
    groups: groups.map(({ name: group, repeats, is_reg: isReg }) => ({ name: group, repeats, isReg })),
    files: files.map(({ filename, size_bytes: sizeBytes, sha256, group }) => {
      return { filename, group, upload: { sizeBytes, sha256 } };
    }),
  };
}

/** @throws TrainyardError for a name that could lead out of the folder, or that no service accepts */
function requireName(what: string, name: string, parse: (raw: string) => string): void {
  try {
    if (parse(name) === name) return;
  } catch {
    // The message for uploads would not help.
  }
  throw invalidAnswer(200, `its manifest has the unusable ${what} ${JSON.stringify(name)}.`);
}

async function rangeResponseOf(response: Response, { filename, upload }: ManifestFile): Promise<RangeResponse> {
  // The service's ETag is the SHA-256. Another kind of ETag comes from a proxy, and does not mean that the file changed.
  const etag = /^(?:W\/)?"([0-9a-f]{64})"$/.exec(response.headers.get('etag') ?? '')?.[1];
  if (etag !== undefined && etag !== upload.sha256) {
    await response.body?.cancel();
    throw new DatasetChanged(`${filename} was replaced`);
  }
  const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
  return { from: response.status === 206 ? Number(start) : 0, body: chunksOf(response) };
}

/** Yields the files of an archive in the requested order, unchecked. Ends at an unexpected entry or a broken connection. */
async function* filesOfArchive(
  body: AsyncIterable<Uint8Array>,
  files: readonly PlacedFile[],
): AsyncGenerator<{ file: PlacedFile; bytes: Buffer }> {
  // Loaded late: a mount of an unchanged dataset needs no archive.
  const { Parser } = await import('tar/parse');
  const received: { file: PlacedFile; bytes: Buffer }[] = [];
  const expected = files.values();
  let isAsExpected = true;
  const parser = new Parser({
    onReadEntry: (entry) => {
      const file = expected.next().value;
      const chunks: Buffer[] = [];
      if (file === undefined || entry.size !== file.upload.sizeBytes) isAsExpected = false;
      else
        entry
          .on('data', (chunk) => chunks.push(chunk))
          .on('end', () => received.push({ file, bytes: Buffer.concat(chunks) }));
      entry.resume();
    },
  });
  parser.on('error', () => {
    isAsExpected = false;
  });
  try {
    for await (const chunk of body) {
      parser.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
      yield* received.splice(0);
      if (!isAsExpected) return;
    }
  } catch (error) {
    // The body of `fetch` fails with a TypeError.
    if (!(error instanceof TypeError)) throw error;
  }
}
