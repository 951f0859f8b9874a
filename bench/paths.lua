-- SPDX-License-Identifier: BSD-2-Clause
--
-- For wrk: asks for the paths that a file names, one a line, one after another and from the
-- beginning again, whichever connection is free.
local requests, at = {}, 0

function init(args)
    for path in io.lines(args[1]) do
        requests[#requests + 1] = wrk.format("GET", path)
    end
end

function request()
    at = at % #requests + 1
    return requests[at]
end
