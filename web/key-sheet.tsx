import { KEY_PLACES, KEY_TABLE, type KeyRow, keyText } from './keys.js';
import { Dialog } from './ui/dialog.js';

/** All keys of the page, by the place in which they work. */
export function KeySheet({ onClose }: { onClose: () => void }) {
  const rows: readonly KeyRow[] = Object.values(KEY_TABLE);
  return (
    <Dialog title="Keys" width="max-w-4xl" onClose={onClose} close={{ kind: 'primary', children: 'Close' }}>
      <div className="gap-x-8 sm:columns-2">
        {Object.entries(KEY_PLACES).map(([place, title]) => (
          <section key={place} aria-label={title} className="mb-4 break-inside-avoid">
            <h3 className="mb-1 text-sm font-semibold">{title}</h3>
            <dl className="grid grid-cols-[1fr_auto] gap-x-4 gap-y-1 text-sm">
              {rows
                .filter((row) => row.place === place)
                .map(({ does, keys, shown }) => (
                  <div key={does} className="contents">
                    <dt className="text-muted">{does}</dt>
                    <dd className="flex items-start justify-end gap-1">
                      {(shown === undefined ? keys.map(keyText) : [shown]).map((key) => (
                        <kbd
                          key={key}
                          className="rounded border whitespace-nowrap border-line bg-page px-1.5 font-sans text-xs leading-5"
                        >
                          {key}
                        </kbd>
                      ))}
                    </dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
