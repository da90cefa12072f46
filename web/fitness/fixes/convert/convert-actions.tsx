import { useState } from 'react';
import type { Problem } from '../../../../src/client/client.js';
import { stemOf } from '../../../../src/dataset/media.js';
import { CONVERT_ADVICE, type ErrorProblemCode, type WarningCode } from '../../../../src/dataset/problems.js';
import { type ImageToConvert, useConvert } from './conversions.js';
import { WriteButton } from '../../../session/write-button.js';
import { Alert } from '../../../ui/loaded.js';
import { numberOf } from '../../../ui/format.js';
import { chooseFiles } from '../../../upload/add-files/dropped-files.js';

const ACCEPTED = 'image/*,.heic,.heif';

/** Converts a stored image, or the original of a rejected one, which the user chooses. */
export function ConvertButton({ datasetId, image }: { datasetId: string; image: ImageToConvert }) {
  const { isRunning, convert } = useConvert(datasetId);
  const start = () => {
    if (image.stored !== undefined) return convert([image]);
    chooseFiles({ accept: ACCEPTED }, ([original]) => original && convert([{ ...image, original }]));
  };
  return (
    <WriteButton
      aria-label={
        image.stored === undefined ? `Convert … the original of ${image.filename}` : `Convert ${image.filename}`
      }
      disabled={isRunning}
      onClick={start}
    >
      {image.stored === undefined ? 'Convert …' : 'Convert'}
    </WriteButton>
  );
}

/** Says what a conversion does, converts all images of a kind, and shows the progress. */
export function ConvertAll({ datasetId, images }: { datasetId: string; images: readonly ImageToConvert[] }) {
  const { isRunning, done, total, convert } = useConvert(datasetId);
  const [failure, setFailure] = useState('');
  const stored = images.filter((image) => image.stored !== undefined);
  const rejected = images.filter((image) => image.stored === undefined);
  const chooseOriginals = () =>
    chooseFiles({ accept: ACCEPTED, multiple: true }, (files) => {
      const matched = rejected.flatMap((image) => {
        const original = originalOf(image, files);
        return original === undefined ? [] : { ...image, original };
      });
      setFailure(matched.length === 0 ? 'None of the chosen files has the name of one that is listed here.' : '');
      convert(matched);
    });
  return (
    <div className="flex flex-wrap items-center gap-3 border-b border-line px-3 py-2 text-sm text-muted">
      <div className="mr-auto max-w-prose">
        <p>
          Convert makes a PNG of the same name, size and colours, upright and in sRGB, in this browser.
          {rejected.length > 0 && ' Choose the original: the service keeps no rejected file.'}
        </p>
        <p role="status" className="empty:hidden">
          {isRunning ? `Converting ${numberOf(Math.min(done + 1, total))} of ${numberOf(total)} …` : ''}
        </p>
        <Alert>{failure}</Alert>
      </div>
      {stored.length > 1 && (
        <WriteButton disabled={isRunning} onClick={() => convert(stored)}>
          Convert all {numberOf(stored.length)}
        </WriteButton>
      )}
      {rejected.length > 1 && (
        <WriteButton disabled={isRunning} onClick={chooseOriginals}>
          Choose and convert the originals of all {numberOf(rejected.length)}
        </WriteButton>
      )}
    </div>
  );
}

/** The chosen file of the same name or, if there is none, of the same stem. */
function originalOf({ filename }: ImageToConvert, files: readonly File[]): File | undefined {
  const named = files.map((file) => ({ file, name: file.name.normalize('NFC') }));
  const found =
    named.find(({ name }) => name === filename) ?? named.find(({ name }) => stemOf(name) === stemOf(filename));
  return found?.file;
}

const CONVERTIBLE: ReadonlySet<string> = new Set<ErrorProblemCode | WarningCode>(['NOT_AN_IMAGE', 'NOT_TRAINED_ON']);

/** Which frame to keep is not certain, and what is damaged would lose pixels without a word. */
const NOT_CERTAIN: ReadonlySet<string> = new Set<WarningCode>(['ANIMATED_IMAGE', 'MAY_BE_DAMAGED']);

/** The files among these problems that become images for the trainer by a conversion. */
export function convertibleNames(problems: readonly Problem[]): ReadonlySet<string> {
  const left = new Set(problems.flatMap(({ code, filename }) => (NOT_CERTAIN.has(code) ? (filename ?? []) : [])));
  return new Set(
    problems.flatMap(({ code, filename, message }) =>
      filename !== undefined && CONVERTIBLE.has(code) && message.includes(CONVERT_ADVICE) && !left.has(filename)
        ? filename
        : [],
    ),
  );
}

/** Whether a conversion fixes this problem, of those that a file may have. */
export function isConvertible(
  problem: Problem,
  names: ReadonlySet<string>,
): problem is Problem & { readonly filename: string } {
  return problem.filename !== undefined && CONVERTIBLE.has(problem.code) && names.has(problem.filename);
}
