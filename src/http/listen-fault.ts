import { createServer } from 'node:net';
import { StartupError } from '../base/index.js';

/** uWebSockets.js says only that it failed: a second try through node:net tells why. */
export async function listenFault(host: string, port: number): Promise<StartupError> {
  const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    const probe = createServer();
    probe.once('error', resolve);
    probe.listen({ port, exclusive: true, ...(host === '' ? {} : { host }) }, () => probe.close(() => resolve(null)));
  });
  return listenError(host, port, error);
}

export function listenError(host: string, port: number, error: NodeJS.ErrnoException | null): StartupError {
  const place = `${host === '' ? 'port' : host.includes(':') ? `[${host}]` : host}${host === '' ? ' ' : ':'}${port}`;
  switch (error?.code) {
    case 'EADDRINUSE':
      return new StartupError(`${place} is in use`, 'stop what listens there, or choose another --address', error);
    case 'EACCES':
      return new StartupError(`no permission to listen on ${place}`, 'choose a port above 1023 with --address', error);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new StartupError(`${host} is not an address of this machine`, 'correct the host in --address', error);
    default:
      return new StartupError(
        `cannot listen on ${place}`,
        'try again, or choose another --address',
        error ?? undefined,
      );
  }
}
