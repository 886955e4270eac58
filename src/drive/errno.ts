/** What the system's error numbers mean for a drive, and for the people who look after it. */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import type { DriveFaultKind } from './drive.js';

export const {
  EACCES,
  EAGAIN,
  ECANCELED,
  EDQUOT,
  EEXIST,
  EINPROGRESS,
  EMFILE,
  ENFILE,
  ENOENT,
  ENOMEM,
  ENOSPC,
  ENOTDIR,
  EPERM,
  EROFS,
  EWOULDBLOCK,
} = constants.errno;

export function faultKind(errno: number): DriveFaultKind {
  switch (errno) {
    case ENOENT:
    case ENOTDIR:
      return 'missing';
    case ENOSPC:
    case EDQUOT:
      return 'full';
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return 'starved';
    case EAGAIN:
    case ECANCELED:
    case EINPROGRESS:
      return 'slow';
    default:
      return 'io';
  }
}

/** For messages: `permission denied`. */
export function errnoText(errno: number): string {
  if (errno === EACCES || errno === EPERM) return 'permission denied';
  if (errno === EROFS) return 'the file system is read-only';
  if (errno === EAGAIN || errno === EINPROGRESS || errno === ECANCELED) return 'it does not answer';
  return getSystemErrorMap().get(-errno)?.[1] ?? `error ${errno}`;
}

/** For a line of the log: the number and what it stands for. Nothing when the system gave none. */
export function errnoFields(errno: number): { readonly errno?: number; readonly error?: string } {
  if (errno === 0) return {};
  const [name, text] = getSystemErrorMap().get(-errno) ?? [];
  return { errno, ...(name !== undefined && { error: `${name}: ${text}` }) };
}
