/* The stage: a tile per person and shared screen, in a grid of pages or one large with the
 * others below.  Own preview in the corner while at most one other is here (large while
 * nobody is). */
import { isHere, type KcsClient, type Person } from '../client';
import type { RemoteMedia, Room, Shown } from '../client';
import { words } from '../words';
import { el, iconButton } from './dom';
import { Figures } from './figures';
import { chooseMain, place, type Mode, type Placed } from './layout';
import { Tile, type TileView } from './tile';

const VIEW_STEP = 40; /* px */
const OWN = 'self';

/* What is in the tile of one id, but for what depends on where it is. */
type Content = Omit<TileView, 'pinned'> & { producerId: string | undefined };

export class Stage {
    readonly element = el('main', { class: 'stage', 'aria-label': words.stage });
    mode: Mode | undefined; /* chosen by the person; else by the host, or what there is */
    pin: string | undefined;
    private readonly grid = el('div', { class: 'grid' });
    private readonly alone = el('p', { class: 'alone' });
    private readonly pageText = el('span', { role: 'status' });
    private readonly pager: HTMLElement;
    private readonly tiles = new Map<string, Tile>();
    private readonly own: Tile;
    private readonly figures = new Figures(() => this.client);
    private client: KcsClient | undefined;
    private lastSpeaker: string | undefined; /* of the others */
    private page = 0;
    private speakerId = '';

    constructor(private readonly onBlocked: () => void) {
        this.own = new Tile(OWN, 'own', {
            pin: () => undefined,
            blocked: () => undefined,
            figures: () => undefined,
        });
        this.pager = el(
            'nav',
            { class: 'pager', 'aria-label': words.page(1, 1) },
            iconButton('left', words.previousPage, () => this.turn(-1), 'round'),
            this.pageText,
            iconButton('right', words.nextPage, () => this.turn(1), 'round'),
        );
        this.grid.append(this.own.element);
        this.element.append(this.grid, this.alone, this.pager);
        new ResizeObserver(() => {
            if (this.client !== undefined) {
                this.update(this.client);
            }
        }).observe(this.grid);
    }

    /* As it is shown now. */
    effectiveMode(room: Room): Mode {
        const screens = [...room.people.values()].some((person) => screenOf(person));

        return this.mode ?? (screens ? 'presentation' : ((room.layout as Mode) ?? 'grid'));
    }

    togglePin(id: string): void {
        this.pin = this.pin === id ? undefined : id;
        this.page = 0;
        if (this.client !== undefined) {
            this.update(this.client);
        }
    }

    setSpeaker(id: string): void {
        this.speakerId = id;
        this.tiles.forEach((tile) => tile.setSpeaker(id));
    }

    /* Plays what the browser had held back; call it from a click. */
    playAll(): void {
        this.tiles.forEach((tile) => tile.play());
    }

    close(): void {
        this.figures.stop();
    }

    update(client: KcsClient): void {
        const room = client.room.value;
        const contents = contentsOf(room);

        this.client = client;
        if (room.speaker !== undefined && room.people.has(room.speaker)) {
            this.lastSpeaker = room.speaker;
        }
        for (const [id, tile] of this.tiles) {
            if (!contents.has(id)) {
                tile.element.remove();
                this.tiles.delete(id);
                this.figures.show(tile, false);
            }
        }
        for (const [id, content] of contents) {
            this.tileOf(id).update({ ...content, pinned: this.pin === id });
        }
        this.updateOwn(client);
        this.element.classList.toggle('is-alone', contents.size === 0);
        this.alone.textContent =
            room.status === 'joined' && room.people.size === 0 ? words.alone : '';
        client.setView(this.arrange(room, contents));
    }

    private tileOf(id: string): Tile {
        let tile = this.tiles.get(id);

        if (tile === undefined) {
            tile = new Tile(id, id.startsWith('screen:') ? 'screen' : 'person', {
                pin: () => this.togglePin(id),
                blocked: this.onBlocked,
                figures: (of, on) => this.figures.show(of, on),
            });
            tile.setSpeaker(this.speakerId);
            this.tiles.set(id, tile);
            this.grid.insertBefore(tile.element, this.own.element);
        }
        return tile;
    }

    private updateOwn(client: KcsClient): void {
        const { self, hands, speaker } = client.room.value;

        this.own.update({
            name: self.name,
            label: `${self.name} ${words.you}`,
            audio: undefined,
            video: client.own.preview,
            micOff: client.own.muted.audio,
            cameraOff: client.own.muted.video,
            speaking: speaker === self.id && !client.own.muted.audio,
            pinned: false,
            hand: hands.indexOf(self.id) + 1,
            media: [],
        });
    }

    /* Puts every tile where it belongs; returns what is shown, and how large (in pixels of
     * the screen, rounded so that the node is not told of every step of a window's edge). */
    private arrange(room: Room, contents: Map<string, Content>): Shown[] {
        const { clientWidth: width, clientHeight: height } = this.grid;
        const ids = [...contents.keys()];
        const mode = this.effectiveMode(room);
        const main = chooseMain(mode, ids, {
            pin: this.pin,
            spotlight: room.spotlight,
            speaker: this.lastSpeaker,
        });
        const floats = ids.length === 1 || (ids.length > 0 && main === ids[0] && ids.length < 2);
        const placed = place(floats ? ids : [...ids, OWN], main, width, height, this.page);

        this.page = placed.page;
        this.own.element.classList.toggle('floats', floats);
        this.put(this.own, floats ? undefined : placed, OWN);
        this.own.element.hidden = !floats && !placed.rects.has(OWN);
        for (const [id, tile] of this.tiles) {
            tile.element.hidden = !placed.rects.has(id);
            tile.element.classList.toggle('is-main', placed.main === id);
            this.put(tile, placed, id);
        }
        this.pager.hidden = placed.pages < 2;
        this.pageText.textContent = words.page(placed.page + 1, placed.pages);
        this.element.dataset['mode'] = placed.main === undefined ? 'grid' : mode;
        return this.shown(placed, contents);
    }

    private put(tile: Tile, placed: Placed | undefined, id: string): void {
        const rect = placed?.rects.get(id);

        for (const side of ['left', 'top', 'width', 'height'] as const) {
            tile.element.style[side] = rect === undefined ? '' : `${Math.round(rect[side])}px`;
        }
    }

    private shown(placed: Placed, contents: Map<string, Content>): Shown[] {
        const round = (size: number): number =>
            Math.ceil((size * window.devicePixelRatio) / VIEW_STEP) * VIEW_STEP;

        return [...placed.rects].flatMap(([id, rect]) => {
            const producerId = contents.get(id)?.producerId;
            return producerId === undefined
                ? []
                : [
                      {
                          producer_id: producerId,
                          width: round(rect.width),
                          height: round(rect.height),
                      },
                  ];
        });
    }

    private turn(by: number): void {
        this.page += by;
        if (this.client !== undefined) {
            this.update(this.client);
        }
    }
}

/* A tile for each person, and one before it for each screen. */
function contentsOf(room: Room): Map<string, Content> {
    const contents = new Map<string, Content>();
    const people = [...room.people.values()].filter((person) => isHere(room, person));

    for (const person of people) {
        const screen = screenOf(person);
        if (screen !== undefined) {
            const sound = mediaOf(person, 'audio', true);
            contents.set(`screen:${screen.producerId}`, {
                name: person.name,
                label: words.tile.screenOf(person.name),
                audio: sound?.track,
                video: screen.paused ? undefined : screen.track,
                producerId: screen.producerId,
                micOff: false,
                cameraOff: false,
                speaking: false,
                hand: 0,
                media: received([screen, sound]),
            });
        }
    }
    for (const person of people) {
        const audio = mediaOf(person, 'audio', false);
        const video = mediaOf(person, 'video', false);
        contents.set(person.id, {
            name: person.name,
            label: person.name,
            audio: audio?.track,
            video: video?.paused === false ? video.track : undefined,
            producerId: video?.producerId,
            micOff: audio === undefined || audio.paused,
            cameraOff: video === undefined || video.paused,
            speaking: room.speaker === person.id && audio?.paused === false,
            hand: room.hands.indexOf(person.id) + 1,
            media: received([audio, video]),
        });
    }
    return contents;
}

/* A score is told when it changes, and begins with all. */
function received(all: (RemoteMedia | undefined)[]): TileView['media'] {
    return all.flatMap((media) =>
        media?.track === undefined || media.paused
            ? []
            : [{ id: media.producerId, score: media.quality?.score ?? 10 }],
    );
}

function screenOf(person: Person): RemoteMedia | undefined {
    return mediaOf(person, 'video', true);
}

/* The first running one of a kind, else the first; of the screen, or of the person. */
function mediaOf(
    person: Person,
    kind: RemoteMedia['kind'],
    screen: boolean,
): RemoteMedia | undefined {
    const all = [...person.media.values()].filter(
        (media) =>
            media.kind === kind &&
            (media.source === 'screen' || media.source === 'screen_audio') === screen,
    );

    return all.find((media) => !media.paused) ?? all[0];
}
