import { Button, type ButtonProps } from '../ui/button.js';
import { ONLY_READS, useCanWrite } from './account.js';
import { useIsShared } from './client.js';

/** A button that changes a dataset. It is disabled, and says why, for a token that only reads. A shared page has none. */
export function WriteButton(props: ButtonProps) {
  const canWrite = useCanWrite();
  const isShared = useIsShared();
  if (isShared) return null;
  return <Button {...props} {...(!canWrite && { disabled: true, title: ONLY_READS })} />;
}
