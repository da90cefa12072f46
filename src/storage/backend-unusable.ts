/** The database or the blob store can't be used as configured. The message names it, without its password, and says why. */
export class BackendUnusable extends Error {
  /** It may become usable without a change to the settings. */
  readonly isTemporary: boolean;

  constructor(message: string, options: ErrorOptions & { isTemporary: boolean }) {
    super(message, options);
    this.name = 'BackendUnusable';
    this.isTemporary = options.isTemporary;
  }
}
