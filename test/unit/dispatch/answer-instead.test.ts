import { describe, expect, it } from 'vitest';
import { Refusal, type Piece } from '../../../src/base/index.js';
import { AnswerInstead } from '../../../src/exchange/index.js';
import { createS3World } from '../../support/s3-world.js';

describe('an object whose bytes cannot be had', () => {
  it.each([
    ['rejects', (): Promise<Piece | null> => Promise.reject(new Refusal('SlowDownRead'))],
    [
      'throws',
      (): Promise<Piece | null> => {
        throw new Refusal('SlowDownRead');
      },
    ],
  ])('is answered with its refusal while nothing is out: the source %s', async (_, next) => {
    const world = createS3World();
    await world.send({ method: 'PUT', target: '/bucket' });
    await world.send({ method: 'PUT', target: '/bucket/key', body: ['content'] });
    const { objects } = world;
    const open = objects.open.bind(objects);
    objects.open = (...args) => {
      const snapshot = open(...args);
      snapshot.read = () => ({
        next,
        close: () => {
          snapshot.close();
        },
      });
      return snapshot;
    };
    // The test's front reads the body as a real one does, and knows no other answer.
    const failure = await world.send({ method: 'GET', target: '/bucket/key' }).then(
      () => null,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(AnswerInstead);
    expect((failure as AnswerInstead).answer).toMatchObject({ status: 503 });
  });
});
