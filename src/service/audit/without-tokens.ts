/** The secret of a token, session or code. */
const TOKEN = /ty[sc]?_[A-Za-z0-9_-]{43}/g;

/** In links of the service, and of S3. */
const SIGNATURE = /\b((?:X-Amz-)?(?:signature|credential|security-token)(?:=|%3D))[^&\s"'\\]+/gi;

/** Hides tokens and signatures, which a client may have sent in the wrong place. */
export function withoutTokens(text: string): string {
  return text.replace(TOKEN, 'ty_[hidden]').replace(SIGNATURE, '$1[hidden]');
}
