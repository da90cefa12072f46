import type { AnchorHTMLAttributes } from 'react';
import { Link } from 'wouter';

interface FileLinkProps extends Omit<AnchorHTMLAttributes<HTMLAnchorElement>, 'href'> {
  readonly datasetId: string;
  readonly filename: string;
}

/** A link that shows a file in the workbench; by default, its name. */
export function FileLink({ datasetId, filename, children = filename, ...rest }: FileLinkProps) {
  return (
    <Link
      href={`/datasets/${datasetId}?file=${encodeURIComponent(filename)}`}
      className="text-link wrap-anywhere"
      {...rest}
    >
      {children}
    </Link>
  );
}
