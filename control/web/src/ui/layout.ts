/* Where tiles go: pure arithmetic, no elements. */

export type Mode = 'grid' | 'speaker' | 'presentation';

export interface Rect {
    left: number;
    top: number;
    width: number;
    height: number;
}

export interface Placed {
    rects: Map<string, Rect>; /* of tiles that are shown */
    main: string | undefined;
    page: number;
    pages: number;
}

const ASPECT = 16 / 9;
const UPRIGHT = [ASPECT, 4 / 3, 1, 3 / 4]; /* where there is more height than width */
const GAP = 10; /* px */
const MAX_TILES = 25;
const LEAST_WIDTH = 150; /* px; smaller tiles go to the next page */
const STRIP_TILE = 168; /* px wide, beside one that is large */
const STRIP_NARROW = 112;

/* How many columns make `count` tiles largest in a box, and how wide one is then, and of which
 * shape: 16:9, or in an upright box what fills it better. */
function bestGrid(
    count: number,
    width: number,
    height: number,
): { columns: number; tileWidth: number; aspect: number } {
    let best = { columns: 1, tileWidth: 0, aspect: ASPECT };

    for (const aspect of width < height ? UPRIGHT : [ASPECT]) {
        for (let columns = 1; columns <= count; columns++) {
            const rows = Math.ceil(count / columns);
            const tileWidth = Math.min(
                (width - GAP * (columns - 1)) / columns,
                ((height - GAP * (rows - 1)) / rows) * aspect,
            );
            if (tileWidth > 0 && tileWidth ** 2 / aspect > best.tileWidth ** 2 / best.aspect) {
                best = { columns, tileWidth, aspect };
            }
        }
    }
    return best;
}

/* How many tiles fit on a page without becoming too small. */
function capacity(count: number, width: number, height: number): number {
    for (let n = Math.min(count, MAX_TILES); n > 1; n--) {
        if (bestGrid(n, width, height).tileWidth >= LEAST_WIDTH) {
            return n;
        }
    }
    return 1;
}

function pageOf(ids: string[], size: number, page: number): [string[], number, number] {
    const pages = Math.max(1, Math.ceil(ids.length / Math.max(1, size)));
    const at = Math.min(Math.max(0, page), pages - 1);

    return [ids.slice(at * size, (at + 1) * size), at, pages];
}

function placeGrid(ids: string[], width: number, height: number, page: number): Placed {
    const size = capacity(ids.length, width, height);
    const [shown, at, pages] = pageOf(ids, size, page);
    const rects = new Map<string, Rect>();
    /* the last page's tiles are as large as those of the others */
    const count = pages > 1 ? size : shown.length;
    const { columns, tileWidth, aspect } = bestGrid(Math.max(1, count), width, height);
    const tileHeight = tileWidth / aspect;
    const rows = Math.ceil(shown.length / columns);
    const top = Math.max(0, (height - rows * tileHeight - (rows - 1) * GAP) / 2);

    shown.forEach((id, i) => {
        const row = Math.floor(i / columns);
        const inRow = row === rows - 1 ? shown.length - row * columns : columns;
        const left = Math.max(0, (width - inRow * tileWidth - (inRow - 1) * GAP) / 2);
        rects.set(id, {
            left: left + (i % columns) * (tileWidth + GAP),
            top: top + row * (tileHeight + GAP),
            width: tileWidth,
            height: tileHeight,
        });
    });
    return { rects, main: undefined, page: at, pages };
}

/* One large, the others in a row below. */
function placeMain(
    main: string,
    others: string[],
    width: number,
    height: number,
    page: number,
): Placed {
    const tileWidth = width < 600 ? STRIP_NARROW : STRIP_TILE;
    const tileHeight = tileWidth / ASPECT;
    const size = Math.max(1, Math.floor((width + GAP) / (tileWidth + GAP)));
    const [shown, at, pages] = pageOf(others, size, page);
    const rects = new Map<string, Rect>();
    const mainHeight = height - (shown.length > 0 ? tileHeight + GAP : 0);
    const left = (width - shown.length * tileWidth - (shown.length - 1) * GAP) / 2;

    rects.set(main, { left: 0, top: 0, width, height: Math.max(0, mainHeight) });
    shown.forEach((id, i) =>
        rects.set(id, {
            left: left + i * (tileWidth + GAP),
            top: mainHeight + GAP,
            width: tileWidth,
            height: tileHeight,
        }),
    );
    return { rects, main, page: at, pages };
}

export function place(
    ids: string[],
    main: string | undefined,
    width: number,
    height: number,
    page: number,
): Placed {
    return main === undefined
        ? placeGrid(ids, width, height, page)
        : placeMain(
              main,
              ids.filter((id) => id !== main),
              width,
              height,
              page,
          );
}

/* Who is large: what the person has pinned before what the host shows to all, that before
 * what the mode asks for. */
export function chooseMain(
    mode: Mode,
    ids: string[],
    wishes: {
        pin: string | undefined;
        spotlight: string | undefined;
        speaker: string | undefined;
    },
): string | undefined {
    const there = (id: string | undefined): string | undefined =>
        id !== undefined && ids.includes(id) ? id : undefined;
    const fixed = there(wishes.pin) ?? there(wishes.spotlight);

    if (ids.length < 2) {
        return there(wishes.pin);
    }
    if (mode === 'presentation') {
        const screen = ids.find((id) => id.startsWith('screen:'));
        return there(wishes.pin) ?? screen ?? fixed ?? there(wishes.speaker) ?? ids[0];
    }
    return mode === 'speaker' ? (fixed ?? there(wishes.speaker) ?? ids[0]) : fixed;
}
