/** The database can't be opened as it is configured; the message names it, without its password, and says why. */
export class DatabaseUnfit extends Error {}
