/** Foreign programs as a shell would run them, with nothing of this machine's settings in their way. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ServerProcess } from './server.js';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
}

export type Program = (args: readonly string[], options?: ProgramOptions) => Promise<Outcome>;

const outputBytesMax = 64 * 1024 * 1024;

/** Runs it to its end, whatever its exit code. `home` is a folder without settings. */
export function runProgram(
  program: string,
  args: readonly string[],
  home: string,
  options: ProgramOptions = {},
): Promise<Outcome> {
  mkdirSync(home, { recursive: true });
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? home,
      env: { PATH: process.env['PATH'], HOME: home, LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8', ...options.environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const printed = { stdout: [] as Buffer[], stderr: [] as Buffer[], bytes: 0 };
    const keep = (stream: 'stdout' | 'stderr') => (data: Buffer) => {
      printed.bytes += data.length;
      if (printed.bytes <= outputBytesMax) printed[stream].push(data);
    };
    child.stdout.on('data', keep('stdout'));
    child.stderr.on('data', keep('stderr'));
    child.once('error', (error: NodeJS.ErrnoException) => {
      const cause = error.code === 'ENOENT' ? 'it is not installed; `npm test` installs it' : error.message;
      reject(new Error(`cannot run ${program}: ${cause}`));
    });
    // A program that ends before it has read everything.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.once('close', (code) => {
      const text = (stream: 'stdout' | 'stderr') => Buffer.concat(printed[stream]).toString();
      resolve({ code, stdout: text('stdout'), stderr: text('stderr') });
    });
  });
}

/** The same, but throws what the program said unless it ended with 0. */
export function mustSucceed(run: Program): (args: readonly string[], options?: ProgramOptions) => Promise<string> {
  return async (args, options) => {
    const { code, stdout, stderr } = await run(args, options);
    if (code !== 0) {
      const said = `${stderr}\n${stdout}`.trim().slice(-4000);
      throw new Error(`exit code ${code}: ${args.map((arg) => JSON.stringify(arg)).join(' ')}\n${said}`);
    }
    return stdout;
  };
}

/** What AWS's own programs and libraries read. */
export function awsEnvironment(server: ServerProcess): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: server.accessKey,
    AWS_SECRET_ACCESS_KEY: server.secretKey,
    AWS_DEFAULT_REGION: server.region,
    AWS_REGION: server.region,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_PAGER: '',
  };
}

export function awsCli(server: ServerProcess): Program {
  return (args, options = {}) =>
    runProgram('aws', [...args, '--endpoint-url', server.url], join(server.folder, 'home'), {
      ...options,
      environment: { ...awsEnvironment(server), ...options.environment },
    });
}

export function rclone(server: ServerProcess): Program {
  const environment = {
    RCLONE_CONFIG: join(server.folder, 'no-rclone.conf'),
    RCLONE_CONFIG_GRANARY_TYPE: 's3',
    RCLONE_CONFIG_GRANARY_PROVIDER: 'Minio',
    RCLONE_CONFIG_GRANARY_ACCESS_KEY_ID: server.accessKey,
    RCLONE_CONFIG_GRANARY_SECRET_ACCESS_KEY: server.secretKey,
    RCLONE_CONFIG_GRANARY_ENDPOINT: server.url,
    RCLONE_CONFIG_GRANARY_REGION: server.region,
    // Without it the two forms of é are one file to it.
    RCLONE_NO_UNICODE_NORMALIZATION: 'true',
    RCLONE_RETRIES: '1',
    RCLONE_LOW_LEVEL_RETRIES: '2',
  };
  return (args, options = {}) =>
    runProgram('rclone', args, join(server.folder, 'home'), {
      ...options,
      environment: { ...environment, ...options.environment },
    });
}

export function restic(server: ServerProcess, bucket: string): Program {
  const environment = {
    AWS_ACCESS_KEY_ID: server.accessKey,
    AWS_SECRET_ACCESS_KEY: server.secretKey,
    RESTIC_REPOSITORY: `s3:${server.url}/${bucket}`,
    RESTIC_PASSWORD: 'the password of the repository',
    RESTIC_CACHE_DIR: join(server.folder, 'restic-cache'),
  };
  return (args, options = {}) =>
    runProgram('restic', args, join(server.folder, 'home'), {
      ...options,
      environment: { ...environment, ...options.environment },
    });
}

export function s3cmd(server: ServerProcess): Program {
  const settings = [
    `--access_key=${server.accessKey}`,
    `--secret_key=${server.secretKey}`,
    `--host=${server.host}`,
    `--host-bucket=${server.host}`,
    '--no-ssl',
    `--region=${server.region}`,
    '--no-progress',
  ];
  return (args, options = {}) =>
    runProgram('s3cmd', ['--config=/dev/null', ...settings, ...args], join(server.folder, 'home'), options);
}

/** With boto3: `npm test` says where when it had to install that. */
export function python(server: ServerProcess): Program {
  const program = process.env['GRANARY_TEST_PYTHON'] ?? 'python3';
  return (args, options = {}) =>
    runProgram(program, args, join(server.folder, 'home'), {
      ...options,
      environment: { ...awsEnvironment(server), GRANARY_ENDPOINT: server.url, ...options.environment },
    });
}
