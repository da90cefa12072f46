import { useEffect } from 'react';

/** Names the browser's tab: `evening · History · trainyard`. */
export function useTitle(...parts: readonly (string | undefined)[]): void {
  const title = [...parts.filter((part) => part !== undefined), 'trainyard'].join(' · ');
  useEffect(() => {
    document.title = title;
  }, [title]);
}
