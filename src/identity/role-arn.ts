/** Names of roles of providers: `arn:minio:iam:REGION::role/ID`. The id is what tells them apart. */
import { createHash } from 'node:crypto';

const pattern = /^arn:minio:iam:[^:\s]{0,64}::role\/([A-Za-z0-9_/.-]{1,256})$/;

export function makeRoleArn(region: string, id: string): string {
  return `arn:minio:iam:${region}::role/${id}`;
}

/** Null: not the name of a role. Of any region: one that is set later must not end what was given out before. */
export function roleIdOf(arn: string): string | null {
  return pattern.exec(arn)?.[1] ?? null;
}

/** For a role that has no name of its own: the same for the same text at each start. */
export function roleIdFrom(text: string): string {
  return createHash('sha1').update(text, 'utf8').digest('base64url');
}
