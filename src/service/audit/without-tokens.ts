/** A token, or the secret of a session or code, wherever it stands: in a path, a name or a message. */
const TOKEN = /ty[sc]?_[A-Za-z0-9_-]{43}/g;

/** The signatures of links: ours, and those of S3. */
const SIGNATURE = /\b((?:X-Amz-)?(?:signature|credential|security-token)(?:=|%3D))[^&\s"'\\]+/gi;

/** Hides tokens and the signatures of links, which a client may have sent in the wrong place. */
export function withoutTokens(text: string): string {
  return text.replace(TOKEN, 'ty_[hidden]').replace(SIGNATURE, '$1[hidden]');
}
