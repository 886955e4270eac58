/** Entity tags in documents come with or without their quotes. */
export function withoutQuotes(etag: string): string {
  return etag.trim().replace(/^"(.*)"$/, '$1');
}
