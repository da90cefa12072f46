/** Why a file is left as it is, as the rest of a sentence that begins with its name. */
export class NotFixable extends Error {
  override readonly name = 'NotFixable';
}
