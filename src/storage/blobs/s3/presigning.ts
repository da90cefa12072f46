import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl, S3RequestPresigner } from '@aws-sdk/s3-request-presigner';
import type { Presigning } from '../blobs.js';
import type { S3Bucket } from './bucket.js';
import { storeError } from './connection.js';

/** https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html */
const MAX_EXPIRY_SECONDS = 604_800;

/** Signs links for PUT. The signature covers the length and the headers, so the client must send them. */
export async function linkSigner(
  bucket: S3Bucket,
  signer: S3Client,
): Promise<{ origin: string; sign: Presigning['presign'] }> {
  const sampleKey = 'k';
  // The SDK derives host and path once: its function for a whole URL takes ten times as long.
  const sample = new URL(await getSignedUrl(signer, new PutObjectCommand(bucket.target(sampleKey))));
  const samplePath = pathOf(bucket.target(sampleKey).Key);
  const basePath = sample.pathname.slice(0, sample.pathname.length - samplePath.length);
  const presigner = new S3RequestPresigner(signer.config);
  const { encryption } = bucket.location;
  const headers: Record<string, string> = {
    ...(encryption && { 'x-amz-server-side-encryption': encryption.algorithm }),
    ...(encryption?.kmsKey !== undefined && { 'x-amz-server-side-encryption-aws-kms-key-id': encryption.kmsKey }),
  };
  return {
    origin: sample.origin,
    sign: async (key, { sizeBytes, expiresInSeconds, signedAt = new Date() }) => {
      const { expiration } = await signer.config.credentials().catch((error) => {
        throw storeError(error);
      });
      const expiresAt = expiration?.getTime() ?? Number.POSITIVE_INFINITY;
      const credentialSeconds = Math.floor((expiresAt - Date.now()) / 1000);
      const expiresIn = Math.max(1, Math.min(expiresInSeconds, MAX_EXPIRY_SECONDS, credentialSeconds));
      const path = `${basePath}${pathOf(bucket.target(key).Key)}`;
      const request = {
        protocol: sample.protocol,
        method: 'PUT',
        hostname: sample.hostname,
        ...(sample.port !== '' && { port: Number(sample.port) }),
        path,
        query: {},
        headers: { ...headers, host: sample.host, 'content-length': String(sizeBytes) },
      };
      const signed = await presigner.presign(request as never, { expiresIn, signingDate: signedAt });
      const query = new URLSearchParams(signed.query as Record<string, string>);
      return { url: `${sample.origin}${path}?${query}`, headers: { ...headers }, expiresInSeconds: expiresIn };
    },
  };
}

/** Encodes as `UriEncode` of https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
function pathOf(key: string): string {
  return key.split('/').map(encoded).join('/');
}

function encoded(text: string): string {
  const escaped = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[!'()*]/g, escaped);
}
