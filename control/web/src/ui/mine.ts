/* The meetings of who has signed in: begun, planned, entered, shared, ended. */
import { account, signOut } from '../account';
import type { Meeting } from '../api.gen';
import { newId } from '../client';
import {
    deleteMeeting,
    endMeeting,
    enterMeeting,
    linkFor,
    makeMeeting,
    moreMeetings,
    myMeetings,
    type Listed,
} from '../meetings';
import type { RestError } from '../rest';
import { restError, words } from '../words';
import { copyText, el, textButton } from './dom';
import { Menu, type Command } from './menu';
import { planForm } from './plan';

const AGAIN_MS = 20_000; /* others begin and end meetings, too */
const MAKERS = new Set(['admin', 'host', 'presenter']);

export interface MineActions {
    enter(address: string): void;
    invitation(): void;
    signedOut(unasked: boolean): void;
}

/* When it is, or is next. */
function whenOf(meeting: Meeting): { start: Date | undefined; end: Date | undefined } {
    const first = meeting.meeting_start_time;
    const last = meeting.meeting_end_time;

    if (first == null) {
        return { start: undefined, end: undefined };
    }
    const length = last == null ? 0 : Date.parse(last) - Date.parse(first);
    const next = meeting.occurrences?.find((at) => Date.parse(at) + length > Date.now());
    const start = new Date(next ?? first);

    return { start, end: last == null ? undefined : new Date(start.getTime() + length) };
}

function describe(meeting: Meeting): string {
    const { start, end } = whenOf(meeting);
    const rule = meeting.recurrence ?? '';
    const every = /FREQ=(\w+)/.exec(rule)?.[1];
    const interval = Number(/INTERVAL=(\d+)/.exec(rule)?.[1] ?? 1);
    const days = /BYDAY=([^;]+)/.exec(rule)?.[1]?.split(',').length ?? 0;

    return [
        start === undefined ? words.mine.noTime : words.mine.when(start, end),
        every === undefined ? '' : words.mine.every(every, interval, days),
        meeting.meeting_status === 'ended' ? words.mine.over : '',
    ]
        .filter((each) => each !== '')
        .join(' · ');
}

export class MeetingsScreen {
    readonly element: HTMLElement;
    private readonly status = el('p', { class: 'note', role: 'status' });
    private readonly error = el('p', { class: 'hint warn', role: 'alert', hidden: true });
    private readonly plan = el('div');
    private readonly lists = el('div', { class: 'meetings' }, words.mine.looking);
    private readonly past = el('details');
    private more: Meeting[] = []; /* what was asked for beyond the first page */
    private cursor: string | undefined;
    private drawn = '';
    private readonly me = account();

    constructor(private readonly actions: MineActions) {
        const { me } = this;
        const makes = MAKERS.has(me?.role ?? '');

        this.element = el(
            'main',
            { class: 'door' },
            el(
                'section',
                { class: 'card wide mine' },
                el(
                    'header',
                    {},
                    el('h1', {}, words.mine.title),
                    el('span', { class: 'who-name' }, me?.name ?? ''),
                    textButton(words.mine.signOut, () => void signOut().then(() => actions.signedOut(false))),
                ),
                el(
                    'div',
                    { class: 'row' },
                    ...(makes
                        ? [
                              textButton(words.mine.now, () => void this.beginNow(), 'primary'),
                              textButton(words.mine.plan, () => this.showPlan(), 'secondary'),
                          ]
                        : []),
                    textButton(words.signIn.invitation, actions.invitation, 'secondary'),
                ),
                this.plan,
                this.error,
                this.status,
                this.lists,
            ),
        );
        void this.load();
        const timer = window.setInterval(() => {
            if (!this.element.isConnected) {
                window.clearInterval(timer);
            } else if (!document.hidden) {
                void this.load();
            }
        }, AGAIN_MS);
    }

    /* Does what may be refused, and says why. */
    private async attempt(act: () => Promise<void>): Promise<void> {
        this.error.hidden = true;
        try {
            await act();
        } catch (error) {
            const refused = error as RestError;

            if (refused.status === 401) {
                this.actions.signedOut(true);
                return;
            }
            this.error.textContent = restError(refused);
            this.error.hidden = false;
        }
    }

    private load(): Promise<void> {
        return this.attempt(async () => this.draw(await myMeetings()));
    }

    private showPlan(): void {
        this.plan.replaceChildren(
            planForm(
                ({ meeting_name: name }) => {
                    this.plan.replaceChildren();
                    this.status.textContent = words.mine.made(name);
                    void this.load();
                },
                () => this.plan.replaceChildren(),
            ),
        );
    }

    private beginNow(): Promise<void> {
        return this.attempt(async () => {
            const name = words.mine.nameNow(this.me?.name ?? '');
            const made = await makeMeeting(
                { meeting_name: name, meeting_type: 'instant' },
                newId(),
            );

            this.actions.enter(await enterMeeting(made.id, true));
        });
    }

    /* Rows are only made anew if they would differ: an open menu stays open. */
    private draw(listed: Listed): void {
        const known = new Set(listed.coming.map(({ id }) => id));
        const coming = [...listed.coming, ...this.more.filter(({ id }) => !known.has(id))];
        const now = JSON.stringify([listed.live, coming, listed.past]);

        if (now === this.drawn) {
            return;
        }
        this.drawn = now;
        this.cursor = this.more.length > 0 ? this.cursor : listed.more;
        this.past.replaceChildren(
            el('summary', {}, words.mine.past(listed.past.length)),
            this.list(words.mine.past(listed.past.length), listed.past),
        );
        this.lists.replaceChildren(
            ...(listed.live.length > 0 ? this.group(words.mine.live, listed.live) : []),
            ...(coming.length > 0
                ? this.group(words.mine.coming, coming)
                : [el('p', { class: 'empty' }, words.mine.none)]),
            ...(this.cursor === undefined
                ? []
                : [textButton(words.mine.more, () => void this.showMore())]),
            ...(listed.past.length > 0 ? [this.past] : []),
        );
    }

    private showMore(): Promise<void> {
        return this.attempt(async () => {
            const { data, next } = await moreMeetings(this.cursor);

            this.more.push(...data);
            this.cursor = next;
            this.drawn = '';
            this.draw(await myMeetings());
        });
    }

    private group(title: string, meetings: Meeting[]): HTMLElement[] {
        return [el('h2', {}, title), this.list(title, meetings)];
    }

    private list(title: string, meetings: Meeting[]): HTMLElement {
        return el(
            'ul',
            { 'aria-label': title },
            ...meetings.map((meeting) => this.row(meeting)),
        );
    }

    private row(meeting: Meeting): HTMLElement {
        const { id, meeting_name: name, meeting_status: status } = meeting;
        const own = meeting.creator_id === this.me?.userId;
        const over = status === 'ended' || status === 'cancelled';
        const begins = own && status === 'scheduled';
        const enter = textButton(
            begins ? words.mine.start : words.mine.join,
            () =>
                void this.attempt(async () =>
                    this.actions.enter(await enterMeeting(id, begins)),
                ),
            status === 'live' ? 'primary' : 'small',
        );
        const commands = this.commands(meeting, own, over);

        enter.setAttribute('aria-label', `${enter.textContent}: ${name}`);
        return el(
            'li',
            {},
            el('div', { class: 'who' }, el('strong', {}, name), el('small', {}, describe(meeting))),
            ...(over ? [] : [enter]),
            ...(commands.length === 0
                ? []
                : [new Menu('more', words.mine.actions(name), () => commands).element]),
        );
    }

    private commands(meeting: Meeting, own: boolean, over: boolean): Command[] {
        const { id, meeting_name: name } = meeting;
        const link = (role: string, text: string): Command => ({
            text,
            act: () =>
                void this.attempt(async () => {
                    if (await copyText(await linkFor(id, role))) {
                        this.status.textContent = words.copied(
                            words.roster.roles[role] ?? role,
                        );
                    }
                }),
        });
        const after = (
            text: string,
            sure: string,
            done: string,
            act: (id: string) => Promise<void>,
        ): Command => ({
            text,
            act: () => {
                if (window.confirm(sure)) {
                    void this.attempt(async () => {
                        await act(id);
                        this.more = this.more.filter((each) => each.id !== id);
                        this.status.textContent = done;
                        await this.load();
                    });
                }
            },
        });

        return [
            ...(own && !over
                ? [
                      link('attendee', words.invite),
                      link('presenter', words.invitePresenters),
                  ]
                : []),
            ...(own && meeting.meeting_status === 'live'
                ? [after(words.endForAll, words.endSure, words.mine.ended(name), endMeeting)]
                : []),
            ...(own
                ? [
                      after(
                          words.mine.remove,
                          words.mine.removeSure(name),
                          words.mine.removed(name),
                          deleteMeeting,
                      ),
                  ]
                : []),
        ];
    }
}
