/** A freed log file that becomes the next one, on a file system that after a power loss has any of the names. */
import { expect, it } from 'vitest';
import { formatDrive, probeDrive } from '../../../dist/drive/index.js';
import { SimulatedDisk } from '../../support/simulation/simulated-disk.js';
import { SimulatedMachine } from '../../support/simulation/simulated-machine.js';
import { VirtualTime } from '../../support/simulation/virtual-time.js';
import { Random } from '../journal/model/random.js';
import { TestArena, newFormat, valueOf } from './support.js';

const fileBytes = 64 * 1024;
const seeds = 60;
const memory = new TestArena(1 << 20);

/** True: the power went at this step of the making of a new file. What has a name then is looked at. */
async function crashAt(step: number, seed: number): Promise<boolean> {
  const time = new VirtualTime();
  const disk = new SimulatedDisk();
  const machine = new SimulatedMachine(time, new Random(seed), ['/drive1'], [disk]);
  time.install();
  try {
    let isOver = false;
    const work = async (): Promise<void> => {
      const options = { arena: memory.arena, system: machine, clock: time };
      await probeDrive('/drive1', { ...options, createFolder: true });
      const drive = await formatDrive('/drive1', newFormat(), options);
      valueOf(await drive.log.createFile(1, fileBytes));
      valueOf(await drive.log.freeFile(1, true));
      const first = machine.steps;
      machine.plan = ({ kind, number }) =>
        kind !== 'read' && number === first + step ? { kind: 'crash' } : { kind: 'done' };
      valueOf(await drive.log.createFile(2, fileBytes));
      isOver = true;
    };
    void work();
    await time.runUntil(() => isOver || machine.isDead, 60_000);
    if (isOver) return false;
    machine.losePower();
    const names = new Map<object, string>();
    for (const [path, file] of disk.files()) {
      expect(names.get(file), `${path} after step ${step}, seed ${seed}`).toBeUndefined();
      names.set(file, path);
    }
    return true;
  } finally {
    machine.kill();
    time.uninstall();
  }
}

it('never lies under two names', async () => {
  let crashes = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    for (let step = 1; await crashAt(step, seed); step++) crashes++;
  }
  expect(crashes).toBeGreaterThan(3 * seeds);
});
