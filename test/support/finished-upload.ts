/** A body that is with the drives and not yet visible, for tests that go on from there. */
import type { Engine, Upload } from '../../dist/object/index.js';

export const plain = { metadata: { headers: {}, storageClass: 'STANDARD' }, checksum: null, precondition: null };

/** Writes a body in uneven pieces, as a socket would, honours back-pressure, and finishes it. */
export async function finishedUpload(
  engine: Pick<Engine, 'openUpload'>,
  key: string,
  body: Buffer,
  { bucket = 'b', storageClass = 'STANDARD', pieceBytes = 100_003 } = {},
): Promise<Upload> {
  const options = { bucket, key, bytes: body.length, sha256: false, checksum: null, signedStream: null, storageClass };
  const upload = engine.openUpload(options);
  let wake = (): void => undefined;
  upload.onDrain = () => wake();
  for (let at = 0; at < body.length; at += pieceBytes) {
    const goesOn = upload.write(body, at, Math.min(body.length, at + pieceBytes));
    if (!goesOn) await new Promise<void>((resolve) => (wake = resolve));
  }
  await upload.finish();
  return upload;
}
