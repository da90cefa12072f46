/** Without a trailing slash. */
export const BASE_PATH = '/prod/v1/trainers/datasets';

/** Marks requests of the page: the id of its session, or 1 while it does not know one. */
export const PAGE_HEADER = 'trainyard-page';
