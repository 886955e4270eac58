// What the tests need beyond npm's packages: foreign S3 clients, oracles and C++ tools. On Debian as root
// they are installed; elsewhere the missing ones are named and the run fails.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, step, StepError } from './steps.mjs';

const command = (name) => async () => (await run('sh', ['-c', `command -v ${name}`], { quiet: true })).code === 0;
const file = (pattern) => async () => (await run('sh', ['-c', `ls ${pattern}`], { quiet: true })).code === 0;

/** `present` is the test, `package` what brings it on Debian. */
const always = [
  { name: 'g++', present: command('g++'), package: 'g++' },
  { name: 'make', present: command('make'), package: 'make' },
  { name: 'openssl', present: command('openssl'), package: 'openssl' },
  { name: 'clang', present: command('clang++'), package: 'clang' },
  { name: 'clang-format', present: command('clang-format'), package: 'clang-format' },
  {
    name: 'the sanitizer run-time of clang',
    // For programs, and to be loaded into node.
    present: file(
      '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan-*.a /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan-*.so',
    ),
    package: 'libclang-rt-14-dev',
  },
  {
    name: 'libFuzzer of clang',
    present: file('/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a'),
    package: 'libclang-rt-14-dev',
  },
  {
    name: 'ISA-L',
    present: file('/usr/include/isa-l.h /usr/include/isa-l/erasure_code.h | grep .'),
    package: 'libisal-dev',
  },
  { name: 'libhighwayhash', present: file('/usr/include/highwayhash/*.h'), package: 'libhighwayhash-dev' },
];
const forClients = [
  { name: 'the AWS CLI', present: command('aws'), package: 'awscli' },
  { name: 's3cmd', present: command('s3cmd'), package: 's3cmd' },
  { name: 'rclone', present: command('rclone'), package: 'rclone' },
  { name: 'restic', present: command('restic'), package: 'restic' },
  { name: 'python3', present: command('python3'), package: 'python3' },
  { name: 'slapd', present: file('/usr/sbin/slapd'), package: 'slapd' },
  { name: 'the LDAP tools', present: command('ldapadd'), package: 'ldap-utils' },
  { name: 'chromium', present: command('chromium'), package: 'chromium' },
];

/** The folder is ignored by git; the tests find its python as GRANARY_TEST_PYTHON. */
const toolsFolder = join(root, '.tools');

export async function installTools({ clients }) {
  const wanted = clients ? [...always, ...forClients] : always;
  const missing = [];
  for (const tool of wanted) if (!(await tool.present())) missing.push(tool);
  if (missing.length > 0) await installPackagesOfDebian(missing);
  return clients ? { GRANARY_TEST_PYTHON: await pythonWithLibraries() } : {};
}

async function installPackagesOfDebian(missing) {
  const names = missing.map((tool) => tool.package);
  const isDebian = existsSync('/etc/debian_version');
  if (!isDebian || process.getuid?.() !== 0) {
    const list = missing.map((tool) => `  ${tool.name} (Debian package ${tool.package})`).join('\n');
    throw new StepError(
      `the tests need what is not installed here:\n${list}\n` +
        (isDebian
          ? `Install it with: sudo apt-get install ${names.join(' ')}`
          : 'Install these with your package manager.'),
    );
  }
  await step(`Installing Debian packages (${names.join(' ')})`, async () => {
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    await apt(['update'], env);
    await apt(['install', '-y', '--no-install-recommends', ...names], env);
  });
  const still = [];
  for (const tool of missing) if (!(await tool.present())) still.push(tool.name);
  if (still.length > 0) throw new StepError(`still missing after the installation: ${still.join(', ')}`);
}

async function apt(args, env) {
  const { code, output } = await run('apt-get', ['-q', ...args], { quiet: true, env });
  if (code !== 0) throw new StepError(`${output.trimEnd()}\napt-get ${args.join(' ')} failed`);
}

const hasLibraries = async (python) => (await run(python, ['-c', 'import boto3, minio'], { quiet: true })).code === 0;

async function pythonWithLibraries() {
  const own = join(toolsFolder, 'python', 'bin', 'python3');
  if (existsSync(own) && (await hasLibraries(own))) return own;
  if (await hasLibraries('python3')) return 'python3';
  return await step('Installing boto3 and minio into a virtual environment (.tools/python)', async () => {
    const made = await run('python3', ['-m', 'venv', '--clear', join(toolsFolder, 'python')], { quiet: true });
    if (made.code !== 0) {
      // Debian keeps the module in a package of its own.
      await installPackagesOfDebian([{ name: 'python3-venv', present: async () => true, package: 'python3-venv' }]);
      const again = await run('python3', ['-m', 'venv', '--clear', join(toolsFolder, 'python')], { quiet: true });
      if (again.code !== 0) throw new StepError(again.output.trimEnd());
    }
    const { code, output } = await run(own, ['-m', 'pip', 'install', '--quiet', 'boto3', 'minio'], { quiet: true });
    if (code !== 0) throw new StepError(`${output.trimEnd()}\npip install boto3 minio failed`);
    return own;
  });
}
