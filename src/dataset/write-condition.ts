import type { DatasetFile, StoredFile, Tags, WriteCondition } from './dataset.js';
import { type FieldProblem, ServiceError } from './errors.js';
import { type ErrorProblem, errorIn } from './problems.js';

/** What a client needs to know of it. */
export type CurrentFile = Pick<StoredFile['upload'], 'sha256' | 'sizeBytes'>;

/** The file under the name is not the one that the client expects. */
export class PreconditionFailed extends ServiceError {
  /** `undefined` if there is no such file. */
  readonly current: CurrentFile | undefined;

  constructor(filename: string, current: CurrentFile | undefined, options: { detail?: readonly FieldProblem[] } = {}) {
    const found =
      current === undefined ? 'does not exist in the dataset' : 'is in the dataset, and not as the request expects it';
    super(
      'precondition_failed',
      `${filename} ${found}, so nothing was written. Read it again and decide what to keep.`,
      options,
    );
    this.name = 'PreconditionFailed';
    this.current = current;
  }
}

export function storedFileIn(files: readonly DatasetFile[], filename: string): StoredFile | undefined {
  return files.find((file): file is StoredFile => file.upload.state === 'stored' && file.filename === filename);
}

/** @throws PreconditionFailed */
export function requireCondition(
  condition: WriteCondition | undefined,
  filename: string,
  stored: StoredFile | undefined,
): void {
  if (!meetsCondition(condition, stored)) throw new PreconditionFailed(filename, stored?.upload);
}

export function meetsCondition(
  { ifMatch, ifNoneMatch }: WriteCondition = {},
  stored: Pick<StoredFile, 'upload'> | undefined,
): boolean {
  const sha256 = stored?.upload.sha256;
  const isAmong = (tags: Tags) => sha256 !== undefined && (tags === '*' || tags.includes(sha256));
  return (ifMatch === undefined || isAmong(ifMatch)) && (ifNoneMatch === undefined || !isAmong(ifNoneMatch));
}

/** For an upload that was answered with success, and not stored because of another one. */
export function changedMeanwhile(filename: string): ErrorProblem {
  const message = `${filename} was changed by another upload before this one was stored. Upload it again to replace the new file.`;
  return errorIn(filename, 'FILE_CHANGED', message);
}
