/** The database can't be opened as it is configured; the message names it, without its password, and says why. */
export class DatabaseUnfit extends Error {
  /** It may be fit later, without a change to the settings. */
  readonly isTemporary: boolean;

  constructor(message: string, options: ErrorOptions & { isTemporary: boolean }) {
    super(message, options);
    this.name = 'DatabaseUnfit';
    this.isTemporary = options.isTemporary;
  }
}
