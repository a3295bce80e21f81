-- Modbus: takes the registers of a reply apart by a layout.
--
--     lua:
--       script: ../plugins/modbus.lua
--       args: { layout: "volts=0:u16/10 amps=1:i16/100 energy=2:u32 celsius=4:f32" }
--       reads: [registers]
--       writes: [volts, amps, energy, celsius, registers]
--
-- `name=register:type[/divisor]`, registers counted from 0. Types: u16 i16 u32 i32 u64 f32 f64, high word first; with `w`
-- behind (u32w) low word first; `bN` is bit N of a register. `registers` is the list of 16-bit numbers, and goes.

local SIZES = { u16 = 1, i16 = 1, u32 = 2, i32 = 2, f32 = 2, u64 = 4, f64 = 4 }
local PACKED = { u16 = ">I2", i16 = ">i2", u32 = ">I4", i32 = ">i4", f32 = ">f", u64 = ">i8", f64 = ">d" }

local layout = {}
for name, register, kind, divisor in (args.layout or ""):gmatch("([%w_]+)=(%d+):(%w+)/?([%d.]*)") do
  local bit = kind:match("^b(%d+)$")
  local plain = kind:gsub("w$", "")
  if not bit and not SIZES[plain] then error("layout: there is no type " .. kind) end
  layout[#layout + 1] = {
    name = name,
    first = tonumber(register) + 1,
    bit = tonumber(bit),
    kind = plain,
    low_first = plain ~= kind,
    divisor = tonumber(divisor),
  }
end
if #layout == 0 then error("args: layout is missing") end

local function words(registers, field)
  local parts = {}
  for i = 1, SIZES[field.kind] do
    local place = field.low_first and SIZES[field.kind] - i or i - 1
    local word = registers[field.first + place]
    if word == nil then error(field.name .. ": there are only " .. #registers .. " registers", 0) end
    parts[i] = string.pack(">I2", word & 0xffff)
  end
  return table.concat(parts)
end

function process(event)
  local registers = event.registers
  for _, field in ipairs(layout) do
    local value
    if field.bit then
      value = (registers[field.first] or 0) >> field.bit & 1 == 1
    else
      value = string.unpack(PACKED[field.kind], words(registers, field))
      if field.divisor then value = value / field.divisor end
    end
    event[field.name] = value
  end
  event.registers = nil
  return event
end
