import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StartupError } from '../../../src/base/index.js';
import { parseEnvironmentFile } from '../../../src/config/environment-file.js';
import { readSettings } from '../../../src/config/environment.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-environment-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('parseEnvironmentFile', () => {
  test('reads the lines that people write', () => {
    const text = [
      '# MinIO',
      '',
      'MINIO_ROOT_USER=admin',
      'export MINIO_ROOT_PASSWORD="with space # and hash"',
      "MINIO_VOLUMES='/mnt/drive{1...4}'  ",
      'MINIO_OPTS="--address :9001" # the port',
      'PLAIN=value # not a comment\r',
      'MINIO_EMPTY=',
      'QUOTED="in"side"',
    ].join('\n');
    expect(parseEnvironmentFile(text, 'env')).toEqual({
      MINIO_ROOT_USER: 'admin',
      MINIO_ROOT_PASSWORD: 'with space # and hash',
      MINIO_VOLUMES: '/mnt/drive{1...4}',
      MINIO_OPTS: '--address :9001',
      PLAIN: 'value # not a comment',
      MINIO_EMPTY: '',
      QUOTED: 'in"side',
    });
  });

  test.each(['no equals sign', '=value', '1NAME=x', 'A="open', 'A="x" y'])('refuses the line %j by number', (line) => {
    expect(() => parseEnvironmentFile(`# first\n${line}\n`, '/etc/env')).toThrow(/line 2 of \/etc\/env/);
    expect(() => parseEnvironmentFile(line, 'env')).toThrow(StartupError);
  });
});

describe('readSettings', () => {
  test('GRANARY_ wins over MINIO_, an empty value counts as none', () => {
    const settings = readSettings({ MINIO_REGION: 'a', GRANARY_REGION: 'b', GRANARY_ADDRESS: '', MINIO_ADDRESS: ':1' });
    expect(settings.get('REGION')).toEqual({ name: 'GRANARY_REGION', value: 'b' });
    expect(settings.get('ADDRESS')).toEqual({ name: 'MINIO_ADDRESS', value: ':1' });
    expect(settings.get('DOMAIN')).toBeNull();
    expect(settings.warnings).toEqual([]);
  });

  test('the environment file wins over the process', () => {
    const path = join(folder, 'env');
    writeFileSync(path, 'export MINIO_REGION="from-file"\n');
    const settings = readSettings({ MINIO_CONFIG_ENV_FILE: path, MINIO_REGION: 'process', MINIO_DOMAIN: 'd' });
    expect(settings.get('REGION')?.value).toBe('from-file');
    expect(settings.get('DOMAIN')?.value).toBe('d');
  });

  test('an environment file that does not exist is a warning, one that cannot be read a refusal', () => {
    const settings = readSettings({ MINIO_CONFIG_ENV_FILE: join(folder, 'none') });
    expect(settings.warnings).toEqual([expect.stringContaining('does not exist')]);
    expect(() => readSettings({ MINIO_CONFIG_ENV_FILE: folder })).toThrow(/cannot read the environment file/);
  });

  test.each([
    ['MINIO_ROOT_USR', 'MINIO_ROOT_USER'],
    ['MINIO_STORAGE_CLAS_STANDARD', 'MINIO_STORAGE_CLASS_STANDARD'],
    ['MINIO_IDENTITY_OPENID_CONFIG_URI', 'MINIO_IDENTITY_OPENID_CONFIG_URL'],
    ['GRANARY_INDEXDIR', 'GRANARY_INDEX_DIR'],
  ])('%s is unknown; %s was meant', (name, nearest) => {
    const { warnings } = readSettings({ [name]: 'x' });
    expect(warnings).toEqual([`${name} is not a known setting and has no effect. Did you mean ${nearest}?`]);
  });

  test('a name like no other gets no guess', () => {
    expect(readSettings({ MINIO_QQQQQQQQ: 'x' }).warnings).toEqual([
      'MINIO_QQQQQQQQ is not a known setting and has no effect.',
    ]);
  });

  test('a known name without effect says so, by feature, and shows no value', () => {
    const { warnings } = readSettings({
      MINIO_KMS_SECRET_KEY: 'my-key:hunter2',
      MINIO_NOTIFY_WEBHOOK_ENDPOINT_PRIMARY: 'y',
      MINIO_NOTIFY_WEBHOOK_ENABLE_PRIMARY: 'on',
      MINIO_NOTIFY_MQTT_USERNAME: '',
    });
    expect(warnings).toEqual([
      'This release does not have server-side encryption yet: MINIO_KMS_SECRET_KEY has no effect.',
      'This release does not have event notifications yet: MINIO_NOTIFY_WEBHOOK_ENABLE_PRIMARY, MINIO_NOTIFY_WEBHOOK_ENDPOINT_PRIMARY have no effect.',
    ]);
  });

  test('what Kubernetes sets for services, and names of others, are left alone', () => {
    const names = [
      'MINIO_PORT',
      'MINIO_SERVICE_HOST',
      'MINIO_SERVICE_PORT_HTTPS_MINIO',
      'MINIO_PORT_9000_TCP_ADDR',
      'MINIO_CONSOLE_PORT_9001_TCP',
      'MINIO_UPDATE',
      'PATH',
      'MINIO',
    ];
    expect(readSettings(Object.fromEntries(names.map((name) => [name, 'x']))).warnings).toEqual([]);
  });
});
