/** An S3 bucket, a prefix in it, and how to connect, without credentials. */
export interface S3Location {
  readonly kind: 's3';
  readonly bucket: string;
  /** All keys begin with it. Without slashes at its ends, perhaps empty. */
  readonly prefix: string;
  /** `undefined` for Amazon's, or the one in the SDK's environment variables. */
  readonly endpoint: string | undefined;
  /** The endpoint in presigned links, if it is another one. */
  readonly publicEndpoint: string | undefined;
  readonly region: string | undefined;
  /** Whether links lead to the bucket rather than to the service. */
  readonly isPresigned: boolean;
  /** `https://host/bucket/key` rather than `https://bucket.host/key`. */
  readonly isPathStyle: boolean;
  readonly encryption: { readonly algorithm: Encryption; readonly kmsKey: string | undefined } | undefined;
  /** A PEM file with certificate authorities. */
  readonly caFile: string | undefined;
}

const ENCRYPTIONS = ['AES256', 'aws:kms', 'aws:kms:dsse'] as const;
export type Encryption = (typeof ENCRYPTIONS)[number];

const PARAMETERS = ['endpoint', 'public_endpoint', 'region', 'path_style', 'presign', 'sse', 'kms_key', 'ca'];

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html; other stores allow more. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/;

/**
 * Reads `s3://bucket/prefix?endpoint=…&region=…&path_style=true&presign=true&sse=aws:kms&kms_key=…&ca=/path.pem&public_endpoint=…`.
 *
 * @throws Error with a message that completes "BLOBS_URL …" and lists all faults
 */
export function parseS3Url(text: string): S3Location {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 's3:') throw new Error('must have the form s3://bucket/prefix?endpoint=https://…');
  const faults: string[] = [];
  const check = (isGood: boolean, fault: string) => {
    if (!isGood) faults.push(fault);
  };
  const parameter = (name: string) => url.searchParams.get(name) || undefined;

  check(url.username === '' && url.password === '', 'must hold no credentials; they come from the AWS environment');
  const isBucketAlone = url.port === '' && url.hash === '';
  check(isBucketAlone, 'must name a bucket, without a port; put the address of your own store into endpoint=');
  check(BUCKET.test(url.hostname), 'must name a bucket: letters, digits, dots, hyphens and underscores');
  const prefix = decoded(url.pathname).replace(/^\/+|\/+$/g, '');
  check(!/\/\/|[\u0000-\u001f\u007f]/.test(prefix), 'must have a prefix without empty parts and control characters');
  const unknown = [...new Set(url.searchParams.keys())].filter((name) => !PARAMETERS.includes(name));
  check(unknown.length === 0, `has unknown parameters: ${unknown.join(', ')}; use only ${PARAMETERS.join(', ')}`);
  for (const name of ['endpoint', 'public_endpoint']) {
    check(isOrigin(parameter(name)), `must have ${name}= of the form https://host:port`);
  }
  const [pathStyle, presign] = [parameter('path_style'), parameter('presign')];
  check([undefined, 'true', 'false'].includes(pathStyle), 'must have path_style=true or path_style=false');
  check([undefined, 'true', 'false'].includes(presign), 'must have presign=true or presign=false');
  const algorithm = parameter('sse');
  const isEncryption = ENCRYPTIONS.some((known) => known === algorithm);
  check(algorithm === undefined || isEncryption, `must have sse=${ENCRYPTIONS.join(' or sse=')}`);
  const kmsKey = parameter('kms_key');
  check(kmsKey === undefined || algorithm?.startsWith('aws:kms') === true, 'may have a kms_key only with sse=aws:kms');
  if (faults.length > 0) throw new Error(faults.join('; it '));

  const endpoint = parameter('endpoint');
  return {
    kind: 's3',
    bucket: url.hostname,
    prefix,
    endpoint,
    publicEndpoint: parameter('public_endpoint'),
    // A signature needs a region, though stores other than Amazon's rarely check it.
    region: parameter('region') ?? (endpoint === undefined ? undefined : 'us-east-1'),
    isPresigned: presign !== 'false',
    isPathStyle: pathStyle === undefined ? endpoint !== undefined : pathStyle === 'true',
    encryption: algorithm === undefined ? undefined : { algorithm: algorithm as Encryption, kmsKey },
    caFile: parameter('ca'),
  };
}

function isOrigin(text: string | undefined): boolean {
  if (text === undefined) return true;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) return false;
  return url.pathname === '/' && url.username + url.search === '';
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
