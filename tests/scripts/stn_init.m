function net = stn_init(image_size, use_transformer)
% STN_INIT  Cluttered digits, read through a spatial transformer (Jaderberg et al. 2015)
if nargin < 2, use_transformer = true ; end

net = dagnn.DagNN() ;

if use_transformer
  % where to look
  half = dagnn.Pooling('method', 'avg', 'poolSize', [2 2], 'stride', 2) ;
  net.addLayer('shrink', half, {'input'}, {'small'}, {}) ;
  net.addLayer('l_conv1', dagnn.Conv('size', [5 5 1 20]), {'small'}, {'l1'}, {'l1f', 'l1b'}) ;
  net.addLayer('l_pool1', dagnn.Pooling('method', 'max', 'poolSize', [2 2], 'stride', 2), {'l1'}, {'l2'}, {}) ;
  net.addLayer('l_relu1', dagnn.ReLU(), {'l2'}, {'l3'}, {}) ;
  sizes = net.getVarSizes({'input', [image_size 1 1]}) ;
  s = sizes{net.getVarIndex('l3')} ;
  net.addLayer('l_fc1', dagnn.Conv('size', [s(1:3) 20]), {'l3'}, {'l4'}, {'l4f', 'l4b'}) ;
  net.addLayer('l_relu2', dagnn.ReLU(), {'l4'}, {'l5'}, {}) ;
  net.addLayer('l_fc2', dagnn.Conv('size', [1 1 20 6]), {'l5'}, {'affine'}, {'affinef', 'affineb'}) ;
  net.addLayer('grid', dagnn.AffineGridGenerator('Ho', image_size(1), 'Wo', image_size(2)), {'affine'}, {'grid'}) ;
  net.addLayer('sampler', dagnn.BilinearSampler(), {'input', 'grid'}, {'seen'}) ;
  seen = 'seen' ;
else
  seen = 'input' ;
end

% what it is
specs = struct('k', {7, 5}, 'out', {32, 48}, 'pool', {2, 2}) ;
depth = 1 ;
for spec = specs
  id = sprintf('%dx%d', spec.k, spec.out) ;
  net.addLayer(['conv' id], dagnn.Conv('size', [spec.k spec.k depth spec.out], 'hasBias', true, 'pad', [0 0]), ...
               seen, ['c' id], {['c' id 'f'], ['c' id 'b']}) ;
  net.addLayer(['relu' id], dagnn.ReLU(), ['c' id], ['r' id]) ;
  net.addLayer(['pool' id], dagnn.Pooling('method', 'max', 'poolSize', spec.pool * [1 1], 'stride', spec.pool), ...
               ['r' id], ['p' id]) ;
  [seen, depth] = deal(['p' id], spec.out) ;
end
sizes = net.getVarSizes({'input', [image_size 1 1]}) ;
s = sizes{net.getVarIndex(seen)} ;
net.addLayer('fc', dagnn.Conv('size', [s(1) s(2) depth 10]), seen, 'prediction', {'fcf', 'fcb'}) ;
net.addLayer('objective', dagnn.Loss('loss', 'softmaxlog'), {'prediction', 'label'}, 'objective') ;
net.addLayer('error', dagnn.Loss('loss', 'classerror'), {'prediction', 'label'}, 'error') ;

net.initParams() ;

% the transformer starts as the identity, and learns slowly
if use_transformer
  f = net.getParamIndex('affinef') ;
  net.params(f).value(:) = 0 ;
  b = net.getParamIndex('affineb') ;
  net.params(b).value(:) = single([1 0 0 1 0 0]') ;
  for p = {'affinef', 'affineb'}
    net.params(net.getParamIndex(p{1})).learningRate = 1e-1 ;
    net.params(net.getParamIndex(char(p))).weightDecay = 0 ;
  end
end
net.meta.inputSize = [image_size 1] ;
net.meta.trainOpts.learningRate = 0.001 * 10.^-(0:2) ;
